package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"crmsync/connectors/phone"
)

// maxText is the longest text that a function gives back, in bytes.
const maxText = 16 << 10

// functionError is why a function gave nothing. It holds none of its arguments.
type functionError struct{ reason string }

func (e *functionError) Error() string { return e.reason }

func failure(format string, args ...any) ref.Val {
	return types.WrapErr(&functionError{fmt.Sprintf(format, args...)})
}

// A function is one that expressions may call.
type function struct {
	name, usage string
	overloads   []overloaded
}

type overloaded struct {
	takes []*cel.Type
	gives *cel.Type
	call  func(args []ref.Val) ref.Val
	// method says that it is called on its first argument, lenient that it takes
	// times which are not known.
	method, lenient bool
}

var str, num, when, texts, yes, anything = cel.StringType, cel.IntType, cel.TimestampType, cel.ListType(cel.StringType), cel.BoolType, cel.DynType

// library are crmsync's own functions. CEL's are there too: size, contains,
// startsWith, endsWith, matches, int, double, timestamp, duration and the parts of
// times.
var library = []function{
	{"upper", "upper(text)", ofText(strings.ToUpper)},
	{"lower", "lower(text)", ofText(strings.ToLower)},
	{"title", "title(text)", ofText(func(s string) string { return cases.Title(language.Und).String(s) })},
	{"trim", "trim(text)", ofText(func(s string) string { return strings.Join(strings.Fields(s), " ") })},
	{"digits", "digits(text)", ofText(phone.Digits)},
	{"given_name", "given_name(full name)", ofText(func(s string) string { first, _, _ := strings.Cut(strings.TrimSpace(s), " "); return first })},
	{"family_name", "family_name(full name)", ofText(func(s string) string {
		_, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
		return strings.TrimSpace(rest)
	})},
	{"initials", "initials(full name)", ofText(initials)},
	{"national", "national(phone)", ofText(phone.InCountry)},
	{"international", "international(phone)", ofText(phone.Abroad)},
	{"country_of", "country_of(phone)", ofText(phone.Country)},
	{"text", "text(anything)", []overloaded{{takes: []*cel.Type{anything}, gives: str, lenient: true, call: func(a []ref.Val) ref.Val { return inText(a[0]) }}}},
	{"empty", "empty(anything)", []overloaded{{takes: []*cel.Type{anything}, gives: yes, lenient: true, call: func(a []ref.Val) ref.Val { return isEmpty(a[0]) }}}},
	{"coalesce", "coalesce(first choice, second choice, …)", coalescing(5)},
	{"cut", "cut(text, characters)", []overloaded{{takes: []*cel.Type{str, num}, gives: str, call: func(a []ref.Val) ref.Val {
		return types.String(cutAtWord(of(a[0]), int(min(max(a[1].(types.Int), 0), maxText))))
	}}}},
	{"part", "part(text, separator, which), counting from 1, or from the end with -1", []overloaded{{takes: []*cel.Type{str, str, num}, gives: str, call: part}}},
	{"split", "split(text, separator)", []overloaded{{takes: []*cel.Type{str, str}, gives: texts, call: split}}},
	{"join", "join(list, separator)", []overloaded{{takes: []*cel.Type{texts, str}, gives: str, call: func(a []ref.Val) ref.Val {
		list, err := textsOf(a[0].(traits.Lister))
		if err != nil {
			return failure("the list is not one of texts")
		}
		return limited(strings.Join(list, of(a[1])))
	}}}},
	{"replace", "replace(text, old, new)", []overloaded{{takes: []*cel.Type{str, str, str}, gives: str, call: replace}}},
	{"replace_pattern", "replace_pattern(text, pattern, new)", []overloaded{{takes: []*cel.Type{str, str, str}, gives: str, call: replacePattern}}},
	{"find", "find(text, pattern)", []overloaded{{takes: []*cel.Type{str, str}, gives: str, call: find}}},
	{"matches", "matches(text, pattern)", []overloaded{
		{takes: []*cel.Type{str, str}, gives: yes, call: matches}, {takes: []*cel.Type{str, str}, gives: yes, call: matches, method: true},
	}},
	{"lookup", "lookup(table, key) or lookup(table, key, otherwise)", nil}, // each document has its own tables
	{"format_date", "format_date(time, pattern, zone), such as format_date(last_message_at, 'dd.MM.yyyy HH:mm', 'Europe/Rome')", []overloaded{
		{takes: []*cel.Type{when, str}, gives: str, call: func(a []ref.Val) ref.Val { return formatDate(a[0], of(a[1]), "UTC") }, lenient: true},
		{takes: []*cel.Type{when, str, str}, gives: str, call: func(a []ref.Val) ref.Val { return formatDate(a[0], of(a[1]), of(a[2])) }, lenient: true},
	}},
	{"parse_date", "parse_date(text, pattern, zone)", []overloaded{
		{takes: []*cel.Type{str, str}, gives: when, call: func(a []ref.Val) ref.Val { return parseDate(of(a[0]), of(a[1]), "UTC") }},
		{takes: []*cel.Type{str, str, str}, gives: when, call: func(a []ref.Val) ref.Val { return parseDate(of(a[0]), of(a[1]), of(a[2])) }},
	}},
}

// functions declare the library.
func functions() (options []cel.EnvOption) {
	for _, f := range library {
		if len(f.overloads) > 0 {
			options = append(options, declare(f.name, f.overloads))
		}
	}
	return options
}

func declare(name string, overloads []overloaded) cel.EnvOption {
	list := make([]cel.FunctionOpt, len(overloads))
	for i, o := range overloads {
		id := fmt.Sprintf("%s_%d", name, len(o.takes))
		call := func(args ...ref.Val) ref.Val {
			for _, a := range args {
				if types.IsError(a) {
					return a
				}
			}
			return o.call(args)
		}
		var options []cel.OverloadOpt
		if o.lenient {
			options = append(options, cel.OverloadIsNonStrict())
		}
		switch len(o.takes) {
		case 1:
			options = append(options, cel.UnaryBinding(func(a ref.Val) ref.Val { return call(a) }))
		case 2:
			options = append(options, cel.BinaryBinding(func(a, b ref.Val) ref.Val { return call(a, b) }))
		default:
			options = append(options, cel.FunctionBinding(call))
		}
		list[i] = cel.Overload(id, o.takes, o.gives, options...)
		if o.method {
			list[i] = cel.MemberOverload("method_"+id, o.takes, o.gives, options...)
		}
	}
	return cel.Function(name, list...)
}

// Functions are the names of crmsync's own functions in expressions.
func Functions() []string {
	names := make([]string, len(library))
	for i, f := range library {
		names[i] = f.name
	}
	return names
}

// functionNames are those that people may have meant.
func functionNames() []string {
	return append(Functions(), "size", "contains", "startsWith", "endsWith", "int", "double", "timestamp", "duration", "true", "false")
}

// usage says how a function of the library is called.
func usage(name string) string {
	if i := slices.IndexFunc(library, func(f function) bool { return f.name == name }); i >= 0 {
		return "; it is used as " + library[i].usage
	}
	return ""
}

func of(v ref.Val) string { return string(v.(types.String)) }

// ofText is a function from text to text.
func ofText(f func(string) string) []overloaded {
	return []overloaded{{takes: []*cel.Type{str}, gives: str, call: func(a []ref.Val) ref.Val { return limited(f(of(a[0]))) }}}
}

func limited(s string) ref.Val {
	if len(s) > maxText {
		return failure("a text became longer than %d bytes", maxText)
	}
	return types.String(s)
}

// coalescing gives the first of its texts that is not empty.
func coalescing(most int) (list []overloaded) {
	for n := 2; n <= most; n++ {
		list = append(list, overloaded{takes: slices.Repeat([]*cel.Type{str}, n), gives: str, call: func(args []ref.Val) ref.Val {
			for _, a := range args {
				if of(a) != "" {
					return a
				}
			}
			return types.String("")
		}})
	}
	return list
}

func initials(name string) string {
	var b strings.Builder
	for _, word := range strings.Fields(name) {
		r, _ := utf8.DecodeRuneInString(word)
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// inText is a value as people read it.
func inText(v ref.Val) ref.Val {
	if _, is := v.(types.String); is {
		return v
	}
	if known, err := native(v); err == nil {
		return limited(readable(known))
	}
	text, ok := v.ConvertToType(types.StringType).(types.String)
	if !ok {
		return failure("there is no text of this")
	}
	return text
}

func isEmpty(v ref.Val) ref.Val {
	switch v := v.(type) {
	case types.String:
		return types.Bool(v == "")
	case types.Timestamp:
		return types.Bool(v.IsZero())
	case traits.Lister:
		return types.Bool(v.Size() == types.Int(0))
	case types.Int:
		return types.Bool(v == 0)
	case types.Double:
		return types.Bool(v == 0)
	case types.Null, *types.Unknown:
		return types.True
	}
	return types.False
}

// textsOf is a list of texts.
func textsOf(list traits.Lister) ([]string, error) {
	n, _ := list.Size().(types.Int)
	all := make([]string, 0, n)
	for i := types.Int(0); i < n; i++ {
		s, ok := list.Get(i).(types.String)
		if !ok {
			return nil, errors.New("the list holds something else than texts")
		}
		all = append(all, string(s))
	}
	return all, nil
}

// cutAtWord shortens a text to so many characters, at a word if there is one in the
// second half, with an ellipsis.
func cutAtWord(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	if most <= 1 {
		return strings.Repeat("…", most)
	}
	runes := []rune(s)
	end := most - 1
	for i := end; i > most/2; i-- {
		if unicode.IsSpace(runes[i]) {
			end = i
			break
		}
	}
	return strings.TrimRightFunc(string(runes[:end]), unicode.IsSpace) + "…"
}

func part(a []ref.Val) ref.Val {
	parts, which := strings.Split(of(a[0]), of(a[1])), int64(a[2].(types.Int))
	if which < 0 {
		which += int64(len(parts)) + 1
	}
	if which < 1 || which > int64(len(parts)) {
		return types.String("")
	}
	return types.String(strings.TrimSpace(parts[which-1]))
}

func split(a []ref.Val) ref.Val {
	var parts []string
	for s := range strings.SplitSeq(of(a[0]), of(a[1])) {
		if s = strings.TrimSpace(s); s != "" {
			parts = append(parts, s)
		}
	}
	return types.NewStringList(types.DefaultTypeAdapter, parts)
}

func replace(a []ref.Val) ref.Val {
	s, old, with := of(a[0]), of(a[1]), of(a[2])
	if old == "" {
		return types.String(s)
	}
	if n := strings.Count(s, old); len(s)+n*(len(with)-len(old)) > maxText {
		return failure("a text became longer than %d bytes", maxText)
	}
	return types.String(strings.ReplaceAll(s, old, with))
}

// Patterns are Go's (RE2), whose time grows with the text and not faster.
var patterns = func() *lru.Cache[string, *regexp.Regexp] {
	cache, err := lru.New[string, *regexp.Regexp](1000)
	if err != nil {
		panic(err) // for a size below 1 only
	}
	return cache
}()

// A pattern takes as long as it is large, for each character of the text: longestPattern
// is in bytes, largestPattern in steps once repetitions are written out.
const longestPattern, largestPattern = 500, 500

// sizeOf is a pattern's size, or more than the largest one.
func sizeOf(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)/2
	for _, sub := range re.Sub {
		if size += sizeOf(sub); size > largestPattern {
			return size
		}
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Max, re.Min+1, 1)
	}
	return size
}

func patternOf(text string) (*regexp.Regexp, error) {
	if re, known := patterns.Get(text); known {
		return re, nil
	}
	if len(text) > longestPattern {
		return nil, fmt.Errorf("the pattern is longer than %d characters", longestPattern)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, errors.New("the pattern is not a regular expression")
	}
	if sizeOf(parsed) > largestPattern {
		return nil, errors.New("the pattern repeats too much; write + or * instead of large numbers in braces")
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, errors.New("the pattern is not a regular expression")
	}
	patterns.Add(text, re)
	return re, nil
}

func matches(a []ref.Val) ref.Val {
	re, err := patternOf(of(a[1]))
	if err != nil {
		return failure("%s", err)
	}
	return types.Bool(re.MatchString(of(a[0])))
}

func find(a []ref.Val) ref.Val {
	re, err := patternOf(of(a[1]))
	if err != nil {
		return failure("%s", err)
	}
	m := re.FindStringSubmatch(of(a[0]))
	switch len(m) {
	case 0:
		return types.String("")
	case 1:
		return types.String(m[0])
	}
	return types.String(m[1])
}

func replacePattern(a []ref.Val) ref.Val {
	re, err := patternOf(of(a[1]))
	if err != nil {
		return failure("%s", err)
	}
	s, with := of(a[0]), of(a[2])
	matches := re.FindAllStringSubmatchIndex(s, -1)
	var out []byte
	end := 0
	for _, m := range matches {
		out = append(out, s[end:m[0]]...)
		out = re.ExpandString(out, with, s, m)
		if end = m[1]; len(out) > maxText {
			return failure("a text became longer than %d bytes", maxText)
		}
	}
	return limited(string(append(out, s[end:]...)))
}

// tableFunction looks texts up in a document's tables.
func tableFunction(tables map[string]map[string]string) cel.EnvOption {
	look := func(a []ref.Val, otherwise string) ref.Val {
		if value, found := tables[of(a[0])][of(a[1])]; found {
			return types.String(value)
		}
		return types.String(otherwise)
	}
	return declare("lookup", []overloaded{
		{takes: []*cel.Type{str, str}, gives: str, call: func(a []ref.Val) ref.Val { return look(a, "") }},
		{takes: []*cel.Type{str, str, str}, gives: str, call: func(a []ref.Val) ref.Val { return look(a, of(a[2])) }},
	})
}

// constants are the arguments that a function wants written out, so that what is
// wrong with them is known before there is a contact.
var constants = map[string]map[int]func(c *compiler, text string) error{
	"lookup":          {0: (*compiler).table},
	"find":            {1: isPattern},
	"replace_pattern": {1: isPattern},
	"format_date":     {1: isLayout, 2: isZone},
	"parse_date":      {1: isLayout, 2: isZone},
	"part":            {1: isSeparator},
	"split":           {1: isSeparator},
	"matches":         {1: isPattern},
	// The parts of a time are asked of it: the zone is the only argument.
	"getFullYear": {1: isZone}, "getMonth": {1: isZone}, "getDate": {1: isZone}, "getDayOfMonth": {1: isZone}, "getDayOfWeek": {1: isZone},
	"getDayOfYear": {1: isZone}, "getHours": {1: isZone}, "getMinutes": {1: isZone}, "getSeconds": {1: isZone}, "getMilliseconds": {1: isZone},
}

func isPattern(_ *compiler, text string) error { _, err := patternOf(text); return err }
func isLayout(_ *compiler, text string) error  { _, err := layoutOf(text); return err }
func isZone(_ *compiler, text string) error    { _, err := zoneOf(text); return err }

func isSeparator(_ *compiler, text string) error {
	if text == "" {
		return errors.New("the separator is empty")
	}
	return nil
}

// literals says what is wrong with the constants of a call.
func (c *compiler) literals(call ast.CallExpr) string {
	for i, arg := range call.Args() {
		if call.IsMemberFunction() {
			i++ // what it is called on comes first
		}
		check := constants[call.FunctionName()][i]
		if check == nil {
			continue
		}
		var text types.String
		is := arg.Kind() == ast.LiteralKind
		if is {
			text, is = arg.AsLiteral().(types.String)
		}
		if !is {
			return "argument " + strconv.Itoa(i+1) + " of " + call.FunctionName() + " has to be written out in quotation marks" + usage(call.FunctionName())
		}
		if err := check(c, string(text)); err != nil {
			return err.Error()
		}
	}
	return ""
}
