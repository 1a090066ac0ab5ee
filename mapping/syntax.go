package mapping

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	// MaxSize is the largest document accepted, in bytes. A thousand lines are 30 KB.
	MaxSize = 256 << 10
	// maxDepth is how deep sections may lie in each other, maxFindings how many
	// findings are told of.
	maxDepth    = 20
	maxFindings = 100
)

// parse reads the YAML. It returns nil, with findings, for what is none, or none
// that a mapping is written in.
func (c *compiler) parse(source []byte) *yaml.Node {
	if len(source) > MaxSize {
		c.found(1, 1, "the document is larger than 256 KB; a mapping of a thousand lines has 30 KB")
		return nil
	}
	if !c.encoding(source) {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Load(source, &doc); err != nil {
		c.syntax(err, source)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		c.found(1, 1, "the document is empty; it begins with version: 1")
		return nil
	}
	c.plain(doc.Content[0], 0)
	if len(c.findings) > 0 {
		return nil
	}
	return doc.Content[0]
}

// encoding finds what is no text.
func (c *compiler) encoding(source []byte) bool {
	if bytes.HasPrefix(source, []byte("\xff\xfe")) || bytes.HasPrefix(source, []byte("\xfe\xff")) {
		c.found(1, 1, "the file is in UTF-16; save it as UTF-8")
		return false
	}
	line, column := 1, 0
	for i := 0; i < len(source); {
		r, size := utf8.DecodeRune(source[i:])
		column++
		switch {
		case r == utf8.RuneError && size == 1:
			c.found(line, column, "the character here is not UTF-8; save the file as UTF-8, and not as Windows-1252 or the like")
			return false
		case r == '\n':
			line, column = line+1, 0
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			c.found(line, column, "there is a control character here (code %d); delete it", r)
			return false
		}
		i += size
	}
	return true
}

// syntax says what the reader of YAML has met with.
func (c *compiler) syntax(err error, source []byte) {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		c.found(1, 1, "this is not YAML: %v", err)
		return
	}
	at := e.Mark
	text := lineOf(source, at.Line)
	hint := e.Message
	has := func(part string) bool {
		return strings.Contains(e.Message, part) || strings.Contains(e.ContextMsg, part)
	}
	switch {
	case has("no documents in stream"):
		hint = "the document is empty; it begins with version: 1"
	case has("found multiple"):
		hint = "there are two documents in the file; take out the second and the line --- before it"
	case strings.HasPrefix(strings.TrimLeft(text, " "), "\t"):
		hint = "the line begins with a tab; YAML is indented with blanks"
	case has("quoted scalar"):
		at, hint = e.ContextMark, "the quotation mark that begins here is not closed"
	case has("flow mapping"), has("flow sequence"), has("flow node"):
		if e.ContextMark.Line > 0 && e.ContextMark.Line <= at.Line && !has("flow node") {
			at = e.ContextMark
		}
		hint = "a bracket that begins here is not closed, or a text in it that has a colon, a comma or a bracket lacks quotation marks"
	case has("mapping values are not allowed"):
		hint = "a line of the form key: value cannot stand here; does the line before lack its colon, or a blank after it, or is a text with a colon in it not in quotation marks?"
	case has("did not find expected key"), has("block mapping"), has("block sequence"):
		hint = "the indentation of this line fits none of the lines before it"
	case has("cannot start any token"):
		hint = "a text cannot begin with this character; put it in quotation marks"
	case has("unknown anchor"):
		hint = noAliases
	case has("max depth"):
		hint = tooDeep
	}
	c.found(max(1, at.Line), max(1, at.Column), "%s", hint)
}

func lineOf(source []byte, number int) string {
	for n := 1; len(source) > 0; n++ {
		line, rest, _ := bytes.Cut(source, []byte("\n"))
		if n == number {
			return string(line)
		}
		source = rest
	}
	return ""
}

const (
	noAliases = "anchors (&), aliases (*) and << are not used in mappings; write the lines out"
	tooDeep   = "brackets lie too deep in each other; a mapping needs five levels"
)

// plain finds what YAML has and mappings have not.
func (c *compiler) plain(n *yaml.Node, depth int) {
	switch {
	case len(c.findings) >= 5:
		return
	case depth > maxDepth:
		c.at(n, tooDeep)
		return
	case n.Kind == yaml.AliasNode, n.Anchor != "", n.Tag == "!!merge":
		c.at(n, noAliases)
		return
	case n.Style&yaml.TaggedStyle != 0:
		c.at(n, "%s: YAML's tags (!) are not used in mappings, and a mapping is one file", clip(n.Tag))
		return
	}
	for _, inner := range n.Content {
		c.plain(inner, depth+1)
	}
}
