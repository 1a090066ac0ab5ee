package hubspotsim

import "net/http"

// accountInfo says which account this is (HubSpot: account information API,
// Retrieve account details).
func (s *Server) accountInfo(c *call) (*reply, *refusal) {
	if !c.is(http.MethodGet, "details") {
		return nil, c.noRoute()
	}
	return ok(map[string]any{
		"portalId": s.opts.PortalID, "accountType": "STANDARD", "timeZone": "Europe/Berlin",
		"companyCurrency": "EUR", "additionalCurrencies": []string{}, "utcOffset": "+01:00", "utcOffsetMilliseconds": 3600000,
		"uiDomain": "app-eu1.hubspot.com", "dataHostingLocation": "eu1",
	}), nil
}
