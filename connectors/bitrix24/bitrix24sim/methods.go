package bitrix24sim

import "slices"

// methods are by their names in small letters.
var methods map[string]method

// Methods call each other through the table, a batch above all.
func init() {
	methods = map[string]method{
		"batch":   {run: (*Server).batch},
		"scope":   {run: (*Server).scopes},
		"methods": {run: (*Server).methodNames},
	}
}

func (s *Server) scopes(*call) (*reply, *refusal) { return ok(s.opts.Scopes) }

func (s *Server) methodNames(*call) (*reply, *refusal) {
	names := make([]string, 0, len(methods))
	for name := range methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return ok(names)
}
