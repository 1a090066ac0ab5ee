package sandbox

import (
	"time"

	"crmsync/connectors/hubspot/hubspotsim"
)

// hubSpotOptions sets up an account of HubSpot Professional.
func hubSpotOptions(o Options, info HubSpotInfo) hubspotsim.Options {
	h := hubspotsim.Options{
		Token: info.Token, ClientSecret: info.ClientSecret,
		Quota: "off", Lag: o.Lag, LagTime: 5 * time.Second, LatencyMin: o.LatencyMin, LatencyMax: o.LatencyMax,
		CustomCommunicationProperties: "allowed",
	}
	if o.Quota {
		h.Quota = "documented"
		h.Limits = hubspotsim.Limits{TenSeconds: 190, Daily: 625_000, SearchSecond: 5}
	}
	if o.PlainMessages {
		h.CustomCommunicationProperties = "refused"
	}
	return h
}
