package zohosim

import (
	"net/http"
	"strings"
)

// externals are what X-EXTERNAL says: that records are named by a field of
// this module, or that lookups are. Zoho: external ids.
type externals struct {
	own     string
	lookups map[string]string
}

func externalHeader(c *call, m *module) (externals, *refusal) {
	var ext externals
	for _, mapping := range strings.Split(c.Header.Get("X-External"), ",") {
		parts := strings.Split(strings.TrimSpace(mapping), ".")
		switch {
		case len(parts) == 2 && parts[0] == m.name:
			if f := m.byName[parts[1]]; f == nil || f.external == "" {
				return ext, noExternal(parts[1])
			}
			ext.own = parts[1]
		case len(parts) == 3 && parts[0] == m.name:
			if m.byName[parts[1]] == nil {
				return ext, noExternal(parts[1])
			}
			if ext.lookups == nil {
				ext.lookups = map[string]string{}
			}
			ext.lookups[parts[1]] = parts[2]
		case mapping != "":
			return ext, noExternal(mapping)
		}
	}
	return ext, nil
}

func noExternal(name string) *refusal {
	return refuse(http.StatusBadRequest, invalidData, "The value of the external field is invalid.", obj{"api_name": name})
}

// identify turns what stands in a path into an id: an external value where
// the header says so.
func (s *Server) identify(c *call, m *module, given string) (string, *refusal) {
	ext, refused := externalHeader(c, m)
	if refused != nil {
		return "", refused
	}
	if ext.own != "" {
		if r := m.first(ext.own, given); r != nil {
			return r.name(), nil
		}
		return "", noExternal(ext.own)
	}
	if !numeric.MatchString(given) {
		return "", noSuchID()
	}
	return given, nil
}
