package mapping

import (
	"encoding/json"
	"maps"
	"slices"
)

// object is a part of a JSON schema.
type object = map[string]any

// Schema is the JSON Schema (2020-12) of mapping documents, for editors: names and
// words, and what they mean. What depends on more than one place, such as whether a
// field that is named exists, [Compile] alone knows.
func Schema() ([]byte, error) {
	text, err := json.MarshalIndent(object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "crmsync mapping",
		"description": "Which field of each CRM account carries which contact field, and what happens on what.",
		"type":        "object", "additionalProperties": false, "required": []string{"version", "accounts"},
		"properties": object{
			"version":  object{"const": 1, "description": "The version of the language."},
			"tables":   described(each(each(scalar)), "Tables in which lookup('table', key) finds values."),
			"fields":   described(fieldsSchema(), "Whose value of a contact field counts, and contact fields of your own."),
			"people":   peopleSchema(),
			"accounts": described(each(accountSchema()), "The CRM accounts by their names in crmsync.yaml."),
			"teams":    described(each(object{"type": "array", "minItems": 1, "uniqueItems": true, "items": nonEmpty}), "Teams, each with its people: e-mail addresses in the CRMs, or ids there."),
			"hours":    described(each(hoursSchema()), "Opening hours, each under its name."),
			"rules":    object{"type": "array", "items": ruleSchema(), "description": "What happens when something happens, in this order."},
		},
		"$defs": object{"expression": object{
			"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": maxExpression,
			"description": "An expression (CEL without loops), such as upper(last_name).",
		}, "person": personSchema()},
	}, "", "  ")
	return append(text, '\n'), err
}

var (
	scalar     = object{"type": []string{"string", "number", "boolean"}}
	nonEmpty   = object{"type": "string", "minLength": 1}
	expressive = object{"$ref": "#/$defs/expression"}
)

// each is an object whose values are all alike.
func each(of object) object { return object{"type": "object", "additionalProperties": of} }

func described(of object, text string) object {
	of = maps.Clone(of)
	of["description"] = text
	return of
}

func word(text string, words ...string) object {
	return object{"enum": words, "description": text}
}

// closed is an object with these keys and no others.
func closed(properties object) object {
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}

// known are the names of contact fields, and such as a document's own may have.
func known() object {
	return object{"anyOf": []object{
		{"enum": slices.Sorted(maps.Keys(Contact))},
		{"type": "string", "pattern": fieldName.String()},
	}}
}

func fieldsSchema() object {
	owner := described(nonEmpty, "The account whose value counts where two sides have changed it, or newest.")
	theirs := object{}
	for name, info := range Contact {
		if info.Shared {
			theirs[name] = described(closed(object{"owner": owner}), info.Label)
		}
	}
	own := closed(object{
		"type":    word("What the field holds.", slices.Sorted(maps.Keys(ownTypes))...),
		"label":   described(nonEmpty, "Its name for people, should it have to be created in an account."),
		"options": object{"type": "array", "minItems": 1, "uniqueItems": true, "items": scalar, "description": "The values of a field of type enum."},
		"value":   described(expressive, "The expression that the field follows from; it is not entered by people then."),
		"owner":   owner,
	})
	own["anyOf"] = []object{{"required": []string{"type"}}, {"required": []string{"value"}}}
	return object{"type": "object", "properties": theirs, "propertyNames": object{"pattern": fieldName.String()}, "additionalProperties": own}
}

func peopleSchema() object {
	return described(closed(object{
		"match":      object{"type": "array", "items": object{"enum": []string{"phone", "email"}}, "contains": object{"const": "phone"}, "description": "By what people are known: [phone] or [phone, email]."},
		"same_phone": word("Whether people who share a number are one person, or told apart by their full names.", "same_person", "by_name"),
	}), "Who is who.")
}

func accountSchema() object {
	return closed(object{
		"contact":    described(each(object{"anyOf": []object{known(), lineSchema()}}), "The account's fields of contacts, by its names of them."),
		"message":    messageSchema(),
		"duplicates": word("Whether several records of one person are listed, or made one, which cannot be undone.", "report", "merge"),
		"on_delete":  word("What follows when somebody deletes a contact's record.", "unlink", "recreate", "erase"),
	})
}

func lineSchema() object {
	line := closed(object{
		"field":      described(known(), "The contact field."),
		"value":      described(expressive, "The expression that the account's field is computed from; it is only written."),
		"direction":  word("to: only written to the account; from: only read from it.", "both", "to", "from"),
		"write":      described(expressive, "What is written, of the contact's value, which is called value."),
		"read":       described(expressive, "The contact's value, of what the account shows, which is called value."),
		"options":    described(each(scalar), "The account's words for the contact's values; \"*\" for all others."),
		"default":    described(scalar, "What is written where the contact has no value."),
		"when_empty": word("What becomes of the account's value when the contact's is emptied.", "clear", "keep"),
		"max_length": object{"type": "integer", "minimum": 1, "maximum": 65_000, "description": "The most characters of a text."},
		"overflow":   word("What becomes of longer texts: they are cut at a word, or the contact is a dead letter.", "cut", "refuse"),
		"required":   object{"enum": []any{true, false, "yes", "no"}, "description": "A contact without a value is a dead letter."},
	})
	line["oneOf"] = []object{{"required": []string{"field"}}, {"required": []string{"value"}}}
	return line
}

func messageSchema() object {
	words := object{}
	for name := range wordsIn["en"] {
		words[name] = scalar
	}
	return described(closed(object{
		"text":      described(nonEmpty, "The text; ${…} stands for text, kind, direction, status, at, direction_word, status_word, local_time or an expression of them."),
		"language":  word("The readers' language, for the words of directions and statuses.", slices.Sorted(maps.Keys(wordsIn))...),
		"words":     described(closed(words), "Words of your own for directions and statuses."),
		"time_zone": described(nonEmpty, "The readers' time zone for local_time, such as Europe/Rome."),
	}), "What a logged message looks like.")
}

// someOf is one of something, or a list of it.
func someOf(of object, text string) object {
	return object{"anyOf": []object{of, {"type": "array", "minItems": 1, "items": of}}, "description": text}
}

func hoursSchema() object {
	return object{
		"type": "object", "required": []string{"zone"},
		"properties": object{
			"zone":   described(nonEmpty, "The time zone of their clock, such as Europe/Rome."),
			"closed": someOf(object{"type": "string", "pattern": `^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$`}, "Days such as 2026-12-25, or 12-25 for every year."),
		},
		"additionalProperties": object{"type": "string", "description": "Such as mon-fri: \"09:00-13:00, 14:00-18:00\"."},
	}
}

func ruleSchema() object {
	rule := closed(object{
		"name": described(nonEmpty, "A few words, by which it is known in logs and explanations."),
		"when": whenSchema(),
		"do":   object{"type": "array", "minItems": 1, "items": actionSchema(), "description": "What is done, in this order."},
		"stop": object{"enum": []any{true, false, "yes", "no"}, "description": "No later rule is looked at for this event."},
	})
	rule["required"] = []string{"name", "do"}
	return rule
}

func whenSchema() object {
	text := someOf(scalar, "")
	return described(closed(object{
		"event":         someOf(object{"enum": eventKinds}, "What has happened; message if it is left out."),
		"direction":     word("Of messages: in if it is left out.", "in", "out", "any"),
		"keyword":       described(text, "Any of these is in the text, as a whole word, whatever its case and accents."),
		"status":        someOf(object{"enum": Contact["last_status"].Options}, "The status."),
		"button":        described(text, "The id or the title of a button, or of a line of a list."),
		"field":         object{"type": "object", "additionalProperties": someOf(scalar, "One of these values."), "propertyNames": known(), "description": "Contact fields and their values."},
		"label":         described(text, "The contact has any of these labels."),
		"not_label":     described(text, "The contact has none of these labels."),
		"language":      described(text, "The contact's language is one of these."),
		"country":       described(text, "The contact's country is one of these."),
		"hours":         object{"anyOf": []object{nonEmpty, closed(object{"outside": nonEmpty})}, "description": "Within hours, or {outside: NAME}."},
		"first_contact": object{"enum": []any{true, false, "yes", "no"}, "description": "It is the person's first message ever."},
		"longer_than":   object{"type": "integer", "minimum": 1, "maximum": 10_000, "description": "The conversation of the last 24 hours has more messages."},
		"if":            described(expressive, "A condition over the contact's fields and text, kind, direction, button, status, account, at."),
	}), "On what it fires: all of these hold.")
}

func actionSchema() object {
	person := object{"anyOf": []object{nonEmpty, {"$ref": "#/$defs/person"}}}
	receiver := described(nonEmpty, "The name of a receiver, which has its address in crmsync.yaml under notify.")
	action := closed(object{
		"set":          object{"type": "object", "minProperties": 1, "propertyNames": known(), "additionalProperties": object{"type": []string{"string", "number", "boolean", "null"}}, "description": "Contact fields and their values; texts may hold ${expression}."},
		"add_label":    someOf(scalar, "Labels to add."),
		"remove_label": someOf(scalar, "Labels to take away."),
		"assign":       described(person, "The owner: an e-mail address, or {team: NAME}, {round_robin: [...]}, {field: NAME}."),
		"priority":     described(scalar, "A value for the field priority."),
		"task": described(closed(object{
			"title": nonEmpty, "text": nonEmpty, "priority": object{"enum": priorities}, "account": nonEmpty,
			"due": object{"type": "string", "pattern": durationText.String(), "description": "Such as 30m, 4h or 2d."},
			"to":  described(person, "owner, an e-mail address, or as for assign."),
		}), "A task for a person in the CRM."),
		"notify": described(closed(object{"to": receiver, "text": nonEmpty}), "Tell a receiver, such as a Slack channel."),
		"reply": described(closed(object{
			"to": receiver, "template": nonEmpty, "language": nonEmpty, "parameters": someOf(scalar, "The template's parameters."),
			"even_opted_out": object{"enum": []any{true, false, "yes", "no"}, "description": "Also for somebody who has opted out, such as to confirm that."},
		}), "Ask the system that sends messages to answer with a template."),
	})
	action["minProperties"], action["maxProperties"] = 1, 1
	return action
}

func personSchema() object {
	return closed(object{
		"owner": nonEmpty, "team": nonEmpty, "field": known(),
		"round_robin":  object{"type": "array", "minItems": 1, "uniqueItems": true, "items": nonEmpty},
		"otherwise":    object{"anyOf": []object{nonEmpty, {"$ref": "#/$defs/person"}}},
		"unless_owned": object{"enum": []any{true, false, "yes", "no"}},
	})
}
