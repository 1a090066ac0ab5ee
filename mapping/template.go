package mapping

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v4"
)

// A template is a text in which ${expression} stands for an expression's value, and
// $${ for ${ itself.
type template struct {
	// texts are what stands before each of the values, and after the last one.
	texts  []string
	values []*expression
}

// template reads the template that a node holds; nil if there is anything wrong with
// it.
func (c *compiler) template(node *yaml.Node, in *scope) *template {
	if node.Kind != yaml.ScalarNode || node.Value == "" || node.Tag == "!!null" {
		c.at(node, "this must be a text; ${…} in it stands for a value, such as ${first_name}")
		return nil
	}
	t := &template{}
	faults := len(c.findings)
	var text strings.Builder
	for at := 0; at < len(node.Value); {
		rest := node.Value[at:]
		switch {
		case strings.HasPrefix(rest, "$${"):
			text.WriteString("${")
			at += len("$${")
		case strings.HasPrefix(rest, "${"):
			inside, closed := untilBrace(rest[len("${"):])
			if !closed {
				c.at(node, "a ${ is not closed by }; to write ${ itself, write $${")
				return nil
			}
			if strings.TrimSpace(inside) == "" {
				c.at(node, "there is nothing in ${}; write a field or an expression, such as ${first_name}")
			} else if e := c.expressionAt(node, inside, at+len("${"), in); e != nil {
				t.texts, t.values = append(t.texts, text.String()), append(t.values, e)
				text.Reset()
			}
			at += len("${}") + len(inside)
		default:
			text.WriteByte(rest[0])
			at++
		}
	}
	if len(c.findings) > faults {
		return nil
	}
	t.texts = append(t.texts, text.String())
	return t
}

// untilBrace is what stands before the brace that closes an expression, those in
// its texts and pairs of its own aside.
func untilBrace(text string) (inside string, closed bool) {
	quote, open := byte(0), 0
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case quote != 0 && ch == '\\':
			i++
		case quote != 0:
			if ch == quote {
				quote = 0
			}
		case ch == '\'' || ch == '"':
			quote = ch
		case ch == '{':
			open++
		case ch == '}' && open > 0:
			open--
		case ch == '}':
			return text[:i], true
		}
	}
	return "", false
}

// eval is the template's text. The error holds none of the values.
func (t *template) eval(values cel.Activation) (string, error) {
	if len(t.values) == 0 {
		return t.texts[0], nil
	}
	var b strings.Builder
	for i, e := range t.values {
		b.WriteString(t.texts[i])
		v, err := e.eval(values)
		if err != nil {
			return "", err
		}
		b.WriteString(readable(v))
		if b.Len() > maxText {
			return "", fmt.Errorf("a text became longer than %d bytes", maxText)
		}
	}
	b.WriteString(t.texts[len(t.values)])
	return b.String(), nil
}

// readable is an expression's value as text(…) has it.
func readable(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case []string:
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(v)
}
