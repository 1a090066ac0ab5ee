package directory

import (
	"testing"
	"time"
)

func TestWhatComesOfADifference(t *testing.T) {
	early, late := dawn, dawn.Add(time.Hour)
	for name, tt := range map[string]struct {
		was, seen, ours string
		oursAt          time.Time
		want            Effect // empty: no difference
		conflict        bool
	}{
		"nobody has changed it":     {was: "a@x.it", seen: "a@x.it", ours: "a@x.it", oursAt: early},
		"we only":                   {was: "a@x.it", seen: "a@x.it", ours: "b@x.it", oursAt: early},
		"they only":                 {was: "a@x.it", seen: "b@x.it", ours: "a@x.it", oursAt: early, want: Taken},
		"both, they later":          {was: "a@x.it", seen: "b@x.it", ours: "c@x.it", oursAt: early, want: Taken, conflict: true},
		"both, we later":            {was: "a@x.it", seen: "b@x.it", ours: "c@x.it", oursAt: late.Add(time.Hour), want: WrittenBack, conflict: true},
		"both, to the same":         {was: "a@x.it", seen: "b@x.it", ours: "b@x.it", oursAt: early, want: Agreeing},
		"cleared there":             {was: "a@x.it", seen: "", ours: "a@x.it", oursAt: early, want: Taken},
		"none of its kind":          {was: "a@x.it", seen: "ask Anna", ours: "a@x.it", oursAt: early, want: LeftAlone},
		"new here, at first sight":  {was: "-", seen: "a@x.it", want: Taken},
		"new there, at first sight": {was: "-", seen: "", ours: "a@x.it", oursAt: early, want: WrittenBack},
	} {
		c := &Contact{Fields: map[string]Value{}}
		if tt.ours != "" {
			c.Fields["email"] = Value{Text: tt.ours, At: tt.oursAt}
		}
		shadow := map[string]string{"Mail": tt.was}
		if tt.was == "-" {
			delete(shadow, "Mail")
		}
		s := Sighting{Lines: linesOf(t), Seen: map[string]string{"Mail": tt.seen}, At: late}
		list := c.Differences(s, shadow)
		if c.Changed || c.Text("email") != tt.ours {
			t.Errorf("%s: the contact has changed", name)
		}
		switch {
		case tt.want == "":
			if len(list) != 0 {
				t.Errorf("%s: got %+v", name, list)
			}
		case len(list) != 1 || list[0].Effect != tt.want || list[0].Conflict != tt.conflict || list[0].Ours != tt.ours || list[0].Theirs != tt.seen:
			t.Errorf("%s: got %+v, want %s, conflict %v", name, list, tt.want, tt.conflict)
		}
	}
}
