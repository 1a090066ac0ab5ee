package bitrix24

import (
	"context"

	"crmsync/connectors"
)

// provider is whose activities ours are.
const provider = "CONFIGURABLE_REST_APP"

// activities write messages as configurable activities, which only an
// application may do: they have an id of ours, and tags for direction and
// status (Bitrix24: configurable activities).
type activities struct{}

// find asks for the activities with the messages' ids.
func (activities) find(ctx context.Context, l *logging, notes []*note) {
	var cmds []command
	for _, n := range l.placed(notes) {
		cmds = append(cmds, command{
			method: activityList,
			rank:   messages,
			params: params{
				"filter": params{"PROVIDER_ID": provider, "ORIGIN_ID": n.WAMID},
				"select": []string{"ID", "OWNER_ID", "OWNER_TYPE_ID", "ORIGIN_ID"},
				"order":  params{"ID": "ASC"},
			},
			done: func(o outcome) {
				var found list[struct {
					ID      value `json:"ID"`
					Owner   value `json:"OWNER_ID"`
					OwnerIs value `json:"OWNER_TYPE_ID"`
					Origin  value `json:"ORIGIN_ID"`
				}]
				if err := o.decode(&found); err != nil {
					l.fail(n, err)
					return
				}
				for _, a := range found {
					if string(a.Origin) == n.WAMID && string(a.Owner) == n.ContactRecordID && a.OwnerIs == contactTypeID {
						l.give(n, connectors.Result{RecordID: string(a.ID)})
						return
					}
				}
			},
		})
	}
	l.client.run(ctx, cmds)
}

func (activities) create(ctx context.Context, l *logging, notes []*note) {
	var cmds []command
	for _, n := range l.placed(notes) {
		incoming := "N"
		if n.Direction == connectors.In {
			incoming = "Y"
		}
		cmds = append(cmds, command{
			method:  activityAdd,
			rank:    messages,
			creates: true,
			subject: n.ContactRecordID,
			params: params{
				"ownerTypeId": contactTypeID, "ownerId": n.ContactRecordID,
				"fields": params{
					"typeId": "CONFIGURABLE", "completed": "Y", "isIncomingChannel": incoming,
					"originatorId": originator, "originId": n.WAMID,
				},
				"layout": layout(&n.MessageChange),
			},
			done: func(o outcome) {
				var made struct {
					Activity struct {
						ID value `json:"id"`
					} `json:"activity"`
				}
				err := o.decode(&made)
				switch {
				case o.err != nil && o.err.Code == codeGone:
					// What is not there is the owner.
					e := *o.err
					e.Code, e.Reason = codeNoOwner, codes[codeNoOwner].reason
					l.fail(n, &e)
				case o.err != nil:
					l.fail(n, o.err)
				case err != nil || !isID(string(made.Activity.ID)):
					l.fail(n, silent(&command{creates: true}))
				default:
					l.give(n, connectors.Result{RecordID: string(made.Activity.ID), Created: true})
				}
			},
		})
	}
	l.client.run(ctx, cmds)
}

func (activities) update(ctx context.Context, l *logging, notes []*note) {
	var cmds []command
	for _, n := range notes {
		if !isID(n.RecordID) {
			l.fail(n, notThere())
			continue
		}
		cmds = append(cmds, command{
			method: activityUpdate,
			rank:   messages,
			params: params{"id": n.RecordID, "layout": layout(&n.MessageChange)},
			done: func(o outcome) {
				if o.err != nil {
					l.fail(n, o.err)
					return
				}
				l.give(n, connectors.Result{RecordID: n.RecordID})
			},
		})
	}
	l.client.run(ctx, cmds)
}

// tagTypes are the colours of statuses; others are plain.
var tagTypes = map[string]string{"read": "success", "played": "success", "failed": "failure"}

func layout(ch *connectors.MessageChange) params {
	tags := params{"direction": params{"title": ch.Word(string(ch.Direction)), "type": "secondary"}}
	if ch.Status != "" {
		typ := tagTypes[ch.Status]
		if typ == "" {
			typ = "primary"
		}
		tags["status"] = params{"title": ch.Word(ch.Status), "type": typ}
	}
	title := "WhatsApp"
	if !ch.At.IsZero() {
		title += ch.At.UTC().Format(", 2006-01-02 15:04 UTC")
	}
	return params{
		"icon":   params{"code": "comment"},
		"header": params{"title": title, "tags": tags},
		"body": params{
			"logo":   params{"code": "comment"},
			"blocks": params{"text": params{"type": "text", "properties": params{"value": cut(ch.Text, maxText), "multiline": "Y"}}},
		},
	}
}
