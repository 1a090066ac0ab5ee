package record_test

import (
	"testing"
	"time"
)

// A number that somebody has entered with a slip in it, and corrected, is
// somebody else's: who writes from it is a person of their own.
func TestANumberWithASlipInItIsGivenUp(t *testing.T) {
	inTown(t, "", func(town *town) {
		const slip, right = "+393331234561", "+393331234562"
		town.see("zoho", "z1", 1, slip, "Ann Smith")
		corrected := town.sight("zoho", "z1", 2, right, "Ann Smith")
		corrected.Observed.Was, corrected.Observed.Read = town.link("zoho", "z1").Shadow, time.Now()
		apply(town.T, town.r, corrected)
		town.say("w1", slip[1:], 60)
		town.say("w2", right[1:], 61)
		people := read(town.T, town.db).Contacts
		if ann := people[right[1:]]; ann["name"] != "Ann Smith" || ann["phone"] != right {
			town.Errorf("Ann is %v", ann)
		}
		if other := people[slip[1:]]; other["name"] != "anna 🌸" || other["phone"] != slip {
			town.Errorf("whoever has the number is %v", other)
		}
	})
}
