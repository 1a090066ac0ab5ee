package deadletter

import (
	"fmt"
	"strings"
	"time"
)

// A Notice tells of letters that nobody has settled in time.
type Notice struct {
	// Event is always "dead_letters_overdue".
	Event string    `json:"event"`
	At    time.Time `json:"at"`
	// Letters is how many there are. Groups are their causes, the largest
	// first, and MoreGroups is how many are left out.
	Letters    int     `json:"letters"`
	Groups     []Group `json:"groups"`
	MoreGroups int     `json:"more_groups,omitempty"`
}

// mostGroups is how many causes a notice names.
const mostGroups = 20

// Overdue is the notice of letters.
func Overdue(letters []Letter, now time.Time) Notice {
	groups := Groups(letters)
	shown := groups[:min(len(groups), mostGroups)]
	return Notice{
		Event: "dead_letters_overdue", At: now.UTC().Truncate(time.Millisecond),
		Letters: len(letters), Groups: shown, MoreGroups: len(groups) - len(shown),
	}
}

// Text is the notice for people, in the markup that Slack and what imitates it
// take. What comes from outside cannot address anybody or make a link.
func (n Notice) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "*crmsync: %s overdue*", count(n.Letters, "dead letter"))
	for _, g := range n.Groups {
		fmt.Fprintf(&b, "\n• %s: %s: %s, the first due %s UTC. %s", plain(g.Account), plain(g.Title), count(int(g.Letters), "letter"),
			g.DueAt.UTC().Format("2006-01-02 15:04"), plain(g.Reason))
	}
	if n.MoreGroups > 0 {
		fmt.Fprintf(&b, "\n• and %s", count(n.MoreGroups, "more cause"))
	}
	b.WriteString("\nSee `crmsync deadletters list --overdue --group-by cause`")
	return b.String()
}

// plain takes the meaning out of characters that have one, and cuts what is
// long.
func plain(text string) string {
	const most = 300
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "∗", "`", "'", "~", "∼", "@", "@\u200b", "\n", " ", "\r", " ").Replace(text)
}
