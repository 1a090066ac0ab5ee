package mapping

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"go.yaml.in/yaml/v4"
)

// Expressions are written in CEL without loops: a condition or a value that
// follows from a contact's fields. What one may cost is bounded by its length,
// since no function gives back more than maxText.
const (
	maxExpression  = 2000 // characters, and nodes
	maxNesting     = 40
	maxExpressions = 1000 // of a document: each takes a tenth of a millisecond to compile
)

// An expression is a compiled one. It is safe for concurrent use.
type expression struct {
	program cel.Program
	gives   Type // of its value
}

// scope is where an expression stands: the names that it may use.
type scope struct {
	env   *cel.Env
	names map[string]Type
}

// celTypes are the fields' types in expressions.
var celTypes = map[Type]*cel.Type{
	Text: cel.StringType, Long: cel.StringType, Phone: cel.StringType, Enum: cel.StringType, Owner: cel.StringType,
	Number: cel.IntType, Decimal: cel.DoubleType, Bool: cel.BoolType, Time: cel.TimestampType, Labels: cel.ListType(cel.StringType),
}

// base is the language without any field.
var base = sync.OnceValue(func() *cel.Env {
	without := env.NewLibrarySubset().AddExcludedFunctions(env.NewFunction("matches")) // crmsync's own is bounded
	language, err := cel.NewCustomEnv(append([]cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(without)), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true),
		cel.ClearMacros(), // no loops
		cel.ParserExpressionSizeLimit(maxExpression), cel.ParserRecursionLimit(maxNesting),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
	}, functions()...)...)
	if err != nil {
		panic("mapping: " + err.Error()) // the functions contradict each other
	}
	return language
})

// newScope has names of these types, beside what from has.
func newScope(from *scope, names map[string]Type) *scope {
	env, all := base(), maps.Clone(names)
	if from != nil {
		env = from.env
		for name, t := range from.names {
			if _, own := all[name]; !own {
				all[name] = t
			}
		}
	}
	options := make([]cel.EnvOption, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		options = append(options, cel.Variable(name, celTypes[names[name]]))
	}
	env, err := env.Extend(options...)
	if err != nil {
		panic("mapping: " + err.Error()) // names are checked before
	}
	return &scope{env: env, names: all}
}

// expression compiles the expression that a node holds; nil if there is anything
// wrong with it. want are the types that it may give, none for any.
func (c *compiler) expression(node *yaml.Node, in *scope, want ...Type) *expression {
	if node.Kind != yaml.ScalarNode || strings.TrimSpace(node.Value) == "" {
		c.at(node, "this must be an expression, such as upper(last_name)")
		return nil
	}
	return c.expressionAt(node, node.Value, 0, in, want...)
}

// expressionAt compiles an expression that stands in a node's text, so many bytes
// after its beginning.
func (c *compiler) expressionAt(node *yaml.Node, text string, offset int, in *scope, want ...Type) *expression {
	if c.expressions++; c.expressions > maxExpressions {
		if c.expressions == maxExpressions+1 {
			c.at(node, "there are more than %d expressions in the document; look values up in tables instead", maxExpressions)
		}
		return nil
	}
	if len(text) > maxExpression {
		c.at(node, "the expression is longer than %d characters; divide it into computed fields", maxExpression)
		return nil
	}
	checked, issues := in.env.Compile(text)
	if err := issues.Err(); err != nil {
		for _, e := range issues.Errors() {
			line, column := c.place(node, offset, e.Location)
			sentence, first := c.sentence(e.Message, in)
			c.found(line, column, "%s", sentence)
			if first {
				break // others follow from it
			}
		}
		return nil
	}
	e := &expression{gives: typeOf(checked.OutputType())}
	switch {
	case e.gives == "":
		c.at(node, "the expression gives none of what fields hold: a text, a number, yes or no, a time, or a list of texts")
		return nil
	case len(want) > 0 && !slices.Contains(want, e.gives):
		c.at(node, "the expression gives %s; it has to give %s", nameOf(e.gives), namesOf(want))
		return nil
	}
	before := len(c.findings)
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.CallKind {
			return
		}
		if problem := c.literals(x.AsCall()); problem != "" {
			line, column := c.place(node, offset, checked.NativeRep().SourceInfo().GetStartLocation(x.ID()))
			c.found(line, column, "%s", problem)
		}
	}))
	if len(c.findings) > before {
		return nil
	}
	program, err := in.env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		c.at(node, "the expression cannot be computed")
		return nil
	}
	e.program = program
	return e
}

// place is where in the document something stands in an expression, which begins so
// many bytes after the beginning of the node's text. What YAML has made of the
// document (folded lines, escapes) is undone by looking for the word there.
func (c *compiler) place(node *yaml.Node, offset int, at common.Location) (line, column int) {
	if at == nil || at.Line() < 1 || offset > len(node.Value) {
		return node.Line, node.Column
	}
	pos := offset
	for n := 1; n < at.Line(); n++ {
		i := strings.IndexByte(node.Value[pos:], '\n')
		if i < 0 {
			return node.Line, node.Column
		}
		pos += i + 1
	}
	for n := 0; n < at.Column() && pos < len(node.Value); n++ {
		_, size := utf8.DecodeRuneInString(node.Value[pos:])
		pos += size
	}
	if pos >= len(node.Value) { // it ends too early
		pos = max(0, len(strings.TrimRight(node.Value, " \n"))-1)
	}
	_, size := utf8.DecodeRuneInString(node.Value[pos:])
	word := node.Value[pos : pos+size]
	if i := strings.IndexFunc(node.Value[pos:], func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }); i > size {
		word = node.Value[pos : pos+i]
	}
	source := c.from(node)
	found := 0
	for n := strings.Count(node.Value[:pos], word); n >= 0; n-- {
		i := strings.Index(source[found:], word)
		if i < 0 { // it is written in another way there
			return node.Line, node.Column + utf8.RuneCountInString(node.Value[:pos])
		}
		found += i + len(word)
	}
	found -= len(word)
	line = node.Line + strings.Count(source[:found], "\n")
	if i := strings.LastIndexByte(source[:found], '\n'); i >= 0 {
		return line, utf8.RuneCountInString(source[i+1:found]) + 1
	}
	return line, node.Column + utf8.RuneCountInString(source[:found])
}

// from is the document from a node on; what says of a block how it is written is
// blank.
func (c *compiler) from(node *yaml.Node) string {
	rest := c.source
	for n := 1; n < node.Line; n++ {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	for n := 1; n < node.Column && rest != ""; n++ {
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
	}
	if node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		head, block, _ := strings.Cut(rest, "\n")
		return strings.Repeat(" ", len(head)) + "\n" + block
	}
	return rest
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	overload   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	misread    = regexp.MustCompile(`^Syntax error: (?:mismatched|extraneous) input '(.*?)' expecting`)
	unexpected = regexp.MustCompile(`^Syntax error: (?:no viable alternative at input|token recognition error at:) '(.*)'$`)
	missing    = regexp.MustCompile(`^Syntax error: missing '(.*?)' at`)
)

// sentence says for admins what the compiler of expressions complains of. last is
// true if whatever else it complains of follows from that.
func (c *compiler) sentence(message string, in *scope) (sentence string, last bool) {
	message, _, _ = strings.Cut(message, "\n")
	if m := undeclared.FindStringSubmatch(message); m != nil {
		return c.noSuch(m[1], in)
	}
	if m := overload.FindStringSubmatch(message); m != nil {
		return mismatch(m[1], m[2]), false
	}
	if m := missing.FindStringSubmatch(message); m != nil {
		return "a " + m[1] + " is missing here", true
	}
	read := ""
	if m := misread.FindStringSubmatch(message); m != nil {
		read = m[1]
	} else if m := unexpected.FindStringSubmatch(message); m != nil {
		read = strings.TrimSpace(m[1])
	}
	switch {
	case read == "<EOF>":
		return "the expression ends too early; is there a bracket or a quotation mark missing?", true
	case strings.HasPrefix(read, "="):
		return "to compare, write ==", true
	case read == "and", read == "or", read == "AND", read == "OR":
		return read + " is written " + map[string]string{"and": "&&", "or": "||"}[strings.ToLower(read)], true
	case strings.ContainsAny(read, "“”„‘’«»"):
		return "this quotation mark is a typographic one; write ' instead", true
	case read != "":
		return fmt.Sprintf("%q does not belong here; texts stand in quotation marks, as in 'abc'", clip(read)), true
	case strings.HasPrefix(message, "expression code point size exceeds limit"), strings.Contains(message, "recursion"):
		return "the expression is too long or too deep; divide it into computed fields", true
	}
	return "the expression cannot be understood: " + clip(strings.TrimPrefix(message, "Syntax error: ")), false
}

// noSuch says that there is no such field or function.
func (c *compiler) noSuch(name string, in *scope) (sentence string, last bool) {
	name = strings.TrimPrefix(name, ".")
	known := slices.Concat(slices.Sorted(maps.Keys(in.names)), functionNames())
	if slices.Contains([]string{"all", "exists", "exists_one", "map", "filter", "has"}, name) {
		return fmt.Sprintf("there is no %q: expressions have no loops", name), true
	}
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("there is no %q; did you mean %s?", clip(name), near), false
	}
	return fmt.Sprintf("there is no field or function %q; texts stand in quotation marks, as in 'abc'", clip(name)), false
}

// operators are the names of operators within the compiler of expressions.
var operators = map[string]string{
	"_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%", "_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=",
	"_&&_": "&&", "_||_": "||", "!_": "!", "-_": "-", "@in": "in", "_[_]": "[ ]",
}

// mismatch says that an operator or a function does not take such values.
func mismatch(name, applied string) string {
	switch {
	case strings.Contains(applied, "double") && strings.Contains(applied, "int") && !strings.Contains(applied, "string") && operators[name] != "":
		return operators[name] + " does not go with a number with decimals and a whole one; write 1.0 for 1, or double(…)"
	}
	switch name {
	case "_?_:_":
		return "a choice is written CONDITION ? ONE : OTHER, and both have to be of the same type: " + spoken(applied)
	case "_+_":
		return "+ does not join " + spoken(applied) + "; text(...) makes a text of a number"
	}
	if operator, is := operators[name]; is {
		return operator + " does not go with " + spoken(applied)
	}
	return name + " does not take " + spoken(applied) + usage(name)
}

var words = strings.NewReplacer(
	"google.protobuf.Timestamp", "time", "timestamp", "time", "list(string)", "list of texts", "string", "text", "int", "whole number", "double", "number with decimals",
	"bool", "yes or no", "(", "", ")", "", "dyn", "anything",
)

func spoken(applied string) string {
	receiver, arguments, method := strings.Cut(applied, ".(")
	if method {
		return words.Replace(receiver) + " and (" + words.Replace(arguments) + ")"
	}
	return "(" + words.Replace(applied) + ")"
}

// typeOf is the field type of an expression's value, empty for what no field
// holds.
func typeOf(t *cel.Type) Type {
	switch {
	case t.IsExactType(cel.StringType):
		return Text
	case t.IsExactType(cel.IntType):
		return Number
	case t.IsExactType(cel.DoubleType):
		return Decimal
	case t.IsExactType(cel.BoolType):
		return Bool
	case t.IsExactType(cel.TimestampType):
		return Time
	case t.IsExactType(cel.ListType(cel.StringType)):
		return Labels
	}
	return ""
}

func nameOf(t Type) string {
	switch t {
	case Bool:
		return "yes or no"
	case Time:
		return "a time"
	case Number:
		return "a whole number"
	case Decimal:
		return "a number with decimals"
	case Labels:
		return "a list of texts"
	default:
		return "text"
	}
}

func namesOf(all []Type) string {
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = nameOf(t)
	}
	return list(slices.Compact(names), "or")
}

// eval computes the expression; see [native]. The error holds none of the values.
func (e *expression) eval(values cel.Activation) (any, error) {
	out, _, err := e.program.Eval(values)
	if err != nil {
		if own, ok := errors.AsType[*functionError](err); ok {
			return nil, own
		}
		return nil, plainly(err)
	}
	return native(out)
}

// native is a value of an expression: a string, int64, float64, bool, time.Time or
// []string, or nil for what follows from a time that is not known.
func native(out ref.Val) (any, error) {
	switch v := out.(type) {
	case types.String:
		return string(v), nil
	case types.Int:
		return int64(v), nil
	case types.Double:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, errors.New("division by zero")
	case *types.Unknown:
		return nil, nil // it follows from a time that is not known
	case types.Bool:
		return bool(v), nil
	case types.Timestamp:
		return v.Time, nil
	case traits.Lister:
		return textsOf(v)
	}
	return nil, errors.New("it gives nothing that a field holds")
}

// plainly says why an expression failed, without its values.
func plainly(err error) error {
	for _, known := range []string{"division by zero", "modulus by zero", "integer overflow", "no such key", "index out of bounds"} {
		if strings.Contains(err.Error(), known) {
			return errors.New(known)
		}
	}
	return errors.New("it cannot be computed from this contact's values")
}
