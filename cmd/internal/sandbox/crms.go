package sandbox

import (
	"cmp"
	"hash/fnv"
	"io"
	"strconv"
	"time"

	"crmsync/connectors/bitrix24/bitrix24sim"
	"crmsync/connectors/hubspot/hubspotsim"
	"crmsync/connectors/zoho/zohosim"
)

// hubSpotOptions sets up an account of HubSpot Professional. It may replace
// refresh tokens, so it does.
func hubSpotOptions(o Options, info HubSpotInfo) hubspotsim.Options {
	h := hubspotsim.Options{
		Token: info.Token, ClientID: info.ClientID, ClientSecret: info.ClientSecret, RefreshToken: info.RefreshToken, RotateRefreshToken: true,
		PortalID: o.number(info.URL),
		Quota:    "off", Lag: o.Lag, LagTime: 5 * time.Second, LatencyMin: o.LatencyMin, LatencyMax: o.LatencyMax,
		CustomCommunicationProperties: "allowed",
		Knobs:                         hubspotsim.Knobs{Subscriptions: subscriptions()},
	}
	if o.Quota {
		h.Quota = "documented"
		h.Limits = hubspotsim.Professional()
	}
	if o.PlainMessages {
		h.CustomCommunicationProperties = "refused"
	}
	return h
}

// subscriptions are those that docs/connectors.md recommends: to what people
// edit, and not to what crmsync writes with every message.
func subscriptions() []string {
	all := []string{"contact.creation", "contact.deletion", "contact.privacyDeletion", "contact.merge"}
	for _, name := range []string{
		"firstname", "lastname", "email", "phone", "mobilephone", "jobtitle", "company", "address", "city", "zip", "state", "country",
		"website", "lifecyclestage", "hs_lead_status", "hubspot_owner_id", "hs_language",
		"crmsync_labels", "crmsync_consent", "crmsync_language",
	} {
		all = append(all, "contact.propertyChange:"+name)
	}
	return all
}

// zohoOptions sets up an organisation of the Enterprise edition with 20 users.
func zohoOptions(o Options, info ZohoInfo) zohosim.Options {
	return zohosim.Options{
		ClientID: info.ClientID, ClientSecret: info.ClientSecret, RefreshToken: info.RefreshToken,
		ZGID:  strconv.FormatInt(o.number(info.URL), 10),
		Quota: quota(o), Lag: o.Lag, LatencyMin: o.LatencyMin, LatencyMax: o.LatencyMax,
	}
}

// bitrix24Options sets up a portal of any plan but Enterprise.
func bitrix24Options(o Options, info Bitrix24Info, secret string) bitrix24sim.Options {
	return bitrix24sim.Options{
		UserID: 1, Secret: secret, ApplicationToken: info.ApplicationToken,
		ClientID: info.ClientID, ClientSecret: info.ClientSecret, RefreshToken: info.RefreshToken,
		Quota: quota(o), LatencyMin: o.LatencyMin, LatencyMax: o.LatencyMax,
	}
}

// number is that of the account at an address: the same for the same home, and
// otherwise another at each address.
func (o Options) number(address string) int64 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, cmp.Or(o.Home, address))
	return 1_000_000 + int64(h.Sum32())
}

func quota(o Options) string {
	if o.Quota {
		return "documented"
	}
	return "off"
}
