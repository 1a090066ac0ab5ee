package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/caarlos0/env/v11"
	"go.yaml.in/yaml/v4"
)

// maxSize is the largest file accepted.
const maxSize = 1 << 20

// A Finding is one fault of a configuration.
type Finding struct {
	// File is where it is; "environment" for a variable.
	File string `json:"file"`
	// Line and Column are 0 where they do not apply.
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Problem string `json:"problem"`
}

func (f Finding) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Problem
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Problem)
}

// Findings are all faults of a configuration.
type Findings []Finding

func (f Findings) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// Load reads the configuration in a file, with the variables of an environment
// (as os.Environ returns it) over it, and the secrets that it keeps in files.
// The error, if any, is of type [Findings].
func Load(path string, environ []string) (*Config, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, Findings{{File: path, Problem: "cannot be read: " + reason(err)}}
	}
	c, err := Parse(path, source, environ)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	for _, p := range []*string{&c.DataDir, &c.Mapping} {
		if !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return c, nil
}

// Parse is Load for a source at hand; file is its name, and where its secret
// files are looked for.
func Parse(file string, source []byte, environ []string) (*Config, error) {
	p := parser{file: file, config: Default(), environ: env.ToMap(environ), variables: map[string]bool{}}
	readable := p.yaml(source)
	p.environment()
	if readable {
		p.defaults()
		p.secrets()
		p.check()
		p.notes()
	}
	if len(p.findings) > 0 {
		return nil, append(p.findings, p.config.Notes...) // one may be the cause of a fault
	}
	return p.config, nil
}

type parser struct {
	file      string
	config    *Config
	root      *yaml.Node
	refusals  []refusal
	environ   map[string]string
	variables map[string]bool // all that can be set; true if it was refused
	findings  Findings
}

// A refusal is a place where the file does not fit the configuration. What
// would have been there is not looked at again.
type refusal struct {
	line, column int
	// key says that a key was refused and not a value: one that is there twice,
	// or one that is unknown and may be a misspelt one.
	key, twice bool
	meant      string
}

// among reports whether the refused key is one of a node's.
func (r refusal) among(node *yaml.Node) bool {
	for k := 0; node.Kind == yaml.MappingNode && k < len(node.Content); k += 2 {
		if key := node.Content[k]; key.Line == r.line && key.Column == r.column {
			return true
		}
	}
	return false
}

func (p *parser) found(line, column int, format string, args ...any) {
	p.findings = append(p.findings, Finding{p.file, line, column, fmt.Sprintf(format, args...)})
}

// yaml reads the file and reports whether there is anything to look at.
func (p *parser) yaml(source []byte) bool {
	if len(source) > maxSize {
		p.found(1, 1, "the file is larger than 1 MB")
		return false
	}
	var doc yaml.Node
	if err := yaml.Load(source, &doc); err != nil {
		p.faults(err)
		return false
	}
	if len(doc.Content) > 0 {
		p.root = doc.Content[0]
	}
	err := yaml.Load(source, p.config, yaml.WithKnownFields())
	if err == nil {
		return true
	}
	if _, list := p.node("accounts"); list != nil && len(list.Content) != len(p.config.Accounts) {
		// What is no account was left out, and the others have moved up.
		p.config.Accounts = nil
		p.refusals = append(p.refusals, refusal{line: list.Line, column: list.Column})
	}
	return p.faults(err)
}

var (
	unknownField = regexp.MustCompile(`(?s)^field (.+) not found in type (\S+)$`)
	wrongType    = regexp.MustCompile(`(?s)^cannot construct (!!\w+).* into (\S+)( \(TextUnmarshaler\))?$`)
)

// faults reports what the YAML library objects to, in our words, and whether
// it read the rest.
func (p *parser) faults(err error) bool {
	all, ok := errors.AsType[*yaml.LoadErrors](err)
	if !ok {
		if one, ok := errors.AsType[*yaml.LoadError](err); ok {
			p.found(max(1, one.Mark.Line), max(1, one.Mark.Column), "%s", strings.TrimPrefix(one.Message, "yaml: "))
		} else {
			p.found(1, 1, "this is not a YAML document: %v", err)
		}
		return false
	}
	for _, e := range all.Errors {
		at := refusal{line: max(1, e.Mark.Line), column: max(1, e.Mark.Column)}
		text := strings.TrimPrefix(e.Message, "yaml: ")
		if m := unknownField.FindStringSubmatch(text); m != nil {
			at.key, at.meant = true, suggestion(m[1], m[2])
			text = fmt.Sprintf("there is no key %q here", m[1])
			if at.meant != "" {
				text += "; did you mean " + at.meant + "?"
			}
		} else if m := wrongType.FindStringSubmatch(text); m != nil {
			text = expectation(m[1], m[2])
		} else if strings.Contains(text, "already defined") {
			at.key, at.twice = true, true
		}
		p.refusals = append(p.refusals, at)
		p.found(at.line, at.column, "%s", text)
	}
	return true
}

// expectation says what belongs where a value of a YAML type cannot be.
func expectation(tag, typeName string) string {
	wanted := map[string]string{
		"string": "a text", "config.Secret": "a text", "[]string": "a list such as [a, b]",
		"int": "a whole number", "bool": "true or false", "config.Size": "a size such as 10GiB",
		"config.Duration": "a duration such as 3.5s", "[]config.Duration": "a list of durations such as [1s, 30s]",
		"[]config.Account": "a list of accounts, each with a - before its name",
	}[typeName]
	is := map[string]string{
		"!!str": "a text", "!!int": "this number", "!!float": "this number", "!!bool": "true or false",
		"!!seq": "a list", "!!map": "a list of settings",
	}[tag]
	return cmp.Or(wanted, "a list of settings (key: value)") + " is expected here, not " + cmp.Or(is, "this")
}

// suggestion names the key of a type that is nearest to a misspelt one.
func suggestion(key, typeName string) string {
	types := map[string]reflect.Type{}
	for _, v := range []any{Config{}, Log{}, Database{}, NATS{}, TLS{}, Retry{}, Account{}, Quota{}} {
		t := reflect.TypeOf(v)
		types[t.String()] = t
	}
	t, known := types[typeName]
	if !known {
		return ""
	}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		names = append(names, name)
	}
	return nearest(key, names, 2)
}

// nearest returns the name that differs least from a misspelt one, by at most
// so many letters; empty if there is none.
func nearest(word string, names []string, within int) (best string) {
	for _, name := range names {
		if d := levenshtein.ComputeDistance(word, name); d <= within {
			best, within = name, d-1
		}
	}
	return best
}

// environment lays the variables that begin with CRMSYNC_ over the file.
func (p *parser) environment() {
	p.overlay(p.config, "CRMSYNC_")
	for i := range p.config.Accounts {
		p.overlay(&p.config.Accounts[i], p.variable("accounts", strconv.Itoa(i))+"_")
	}
	for _, s := range p.config.secrets() {
		// A secret in the environment replaces the file's, whichever way
		// either is given.
		value := p.environ[p.variable(s.path...)] != ""
		file := p.environ[p.variable(s.path...)+"_FILE"] != ""
		switch {
		case value && !file:
			*s.file = ""
		case file && !value:
			*s.value = Secret{}
		}
	}
}

// overlay takes the variables one by one, so that each fault has its name.
func (p *parser) overlay(into any, prefix string) {
	fields, err := env.GetFieldParamsWithOptions(into, env.Options{Prefix: prefix, Environment: map[string]string{}})
	if err != nil {
		p.findings = append(p.findings, Finding{File: "environment", Problem: err.Error()})
	}
	for _, f := range fields {
		one := map[string]string{f.Key: p.environ[f.Key]}
		err := env.ParseWithOptions(into, env.Options{Prefix: prefix, Environment: one})
		if p.variables[f.Key] = err != nil; err != nil {
			p.findings = append(p.findings, Finding{File: "environment", Problem: f.Key + ": " + unreadable(err)})
		}
	}
}

// unreadable says what is wrong with the value of a variable.
func unreadable(err error) string {
	fault, ok := errors.AsType[env.ParseError](err)
	switch {
	case !ok:
		return err.Error()
	case fault.Type.Kind() == reflect.Int:
		return "a whole number is expected"
	case fault.Type.Kind() == reflect.Bool:
		return "true or false is expected"
	}
	return fault.Err.Error()
}

// variable is the name in the environment of the value under a path.
func (p *parser) variable(path ...string) string {
	name := "CRMSYNC"
	for i, step := range path {
		if n, err := strconv.Atoi(step); err == nil {
			if i != 1 {
				break // an element of a list, which is one variable
			}
			step = p.config.Accounts[n].Name
		}
		name += "_" + strings.ToUpper(strings.ReplaceAll(step, "-", "_"))
	}
	return name
}

// notes finds what is odd: variables that nothing reads, samples' secrets.
func (p *parser) notes() {
	names := slices.Sorted(maps.Keys(p.variables))
	for _, variable := range slices.Sorted(maps.Keys(p.environ)) {
		_, known := p.variables[variable]
		switch {
		case known, !strings.HasPrefix(variable, "CRMSYNC_"), strings.HasPrefix(variable, "CRMSYNC_TEST_"):
			continue
		case strings.HasPrefix(variable, "CRMSYNC_ACCOUNTS_") && p.refused([]string{"accounts"}):
			continue
		}
		problem := "nothing reads " + variable
		if near := nearest(variable, names, 8); near != "" {
			problem += "; did you mean " + near + "?"
		}
		p.config.Notes = append(p.config.Notes, Finding{File: "environment", Problem: problem})
	}
	for _, s := range p.config.secrets() {
		if s.value.Reveal() == placeholder {
			name := strings.Join(s.path, ".")
			if s.account != "" {
				name = "account " + s.account + ": " + s.path[2]
			}
			p.config.Placeholders = append(p.config.Placeholders, p.finding(s.path, "%s is still %q, as in the sample; put your own in", name, placeholder))
		}
	}
}

// A secretKey is a place of a secret in the configuration.
type secretKey struct {
	value   *Secret
	file    *string
	path    []string
	account string
}

func (c *Config) secrets() []secretKey {
	all := []secretKey{
		{&c.Database.URL, &c.Database.URLFile, []string{"database", "url"}, ""},
		{&c.NATS.Token, &c.NATS.TokenFile, []string{"nats", "token"}, ""},
	}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		add := func(key string, value *Secret, file *string) {
			all = append(all, secretKey{value, file, []string{"accounts", strconv.Itoa(i), key}, a.Name})
		}
		add("token", &a.Token, &a.TokenFile)
		add("app_secret", &a.AppSecret, &a.AppSecretFile)
		add("app_secret_previous", &a.AppSecretPrevious, &a.AppSecretPreviousFile)
		add("verify_token", &a.VerifyToken, &a.VerifyTokenFile)
	}
	return all
}

// secrets reads the secrets that are kept in files.
func (p *parser) secrets() {
	for _, s := range p.config.secrets() {
		p.secret(s.value, *s.file, s.path...)
	}
}

func (p *parser) secret(into *Secret, file string, path ...string) {
	if file == "" {
		return
	}
	key := path[len(path)-1]
	at := append(append([]string(nil), path[:len(path)-1]...), key+"_file")
	if into.Reveal() != "" {
		p.at(at, "both %s and %s_file are set; keep one", key, key)
		return
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(p.file), file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		p.at(at, "%s_file: %s cannot be read: %s", key, file, reason(err))
		return
	}
	*into = NewSecret(strings.TrimRight(string(text), "\r\n"))
	if strings.TrimSpace(into.Reveal()) == "" {
		p.at(at, "%s_file: %s is empty", key, file)
	}
}

// at reports a fault of the value under a path of keys and list indexes.
// Nothing is said about what was refused before.
func (p *parser) at(path []string, format string, args ...any) {
	if p.variables[p.variable(path...)] || p.environ[p.variable(path...)] == "" && p.refused(path) {
		return
	}
	p.findings = append(p.findings, p.finding(path, format, args...))
}

// finding is about the value under a path: in the environment if it comes from
// there, else where the file has it, else at its nearest parent there.
func (p *parser) finding(path []string, format string, args ...any) Finding {
	problem := fmt.Sprintf(format, args...)
	for _, variable := range []string{p.variable(path...), p.variable(path...) + "_FILE"} {
		if p.environ[variable] != "" {
			return Finding{File: "environment", Problem: variable + ": " + problem}
		}
	}
	for n := len(path); n > 0; n-- {
		if begin, _ := p.node(path[:n]...); begin != nil {
			return Finding{p.file, begin.Line, begin.Column, problem}
		}
	}
	return Finding{File: p.file, Problem: problem}
}

// refused reports whether the value under a path was refused, or what it lies
// in, or a key that may be a misspelt one of the path's.
func (p *parser) refused(path []string) bool {
	node := p.root
	for i := 0; node != nil && len(p.refusals) > 0; i++ {
		for _, r := range p.refusals {
			switch {
			case !r.key && r.line == node.Line && r.column == node.Column:
				return true
			case r.key && (r.twice || i < len(path) && r.meant == path[i]) && r.among(node):
				return true
			}
		}
		if i == len(path) {
			return false
		}
		_, node = child(node, path[i])
	}
	return false
}

// given reports whether the value under a path is set at all.
func (p *parser) given(path ...string) bool {
	if p.environ[p.variable(path...)] != "" {
		return true
	}
	_, node := p.node(path...)
	return node != nil && node.Tag != "!!null"
}

// node returns what the file has under a path, and where it begins.
func (p *parser) node(path ...string) (begin, value *yaml.Node) {
	value = p.root
	for _, step := range path {
		if value == nil {
			return nil, nil
		}
		begin, value = child(value, step)
	}
	return begin, value
}

// child returns the node under a key or list index, and where it begins.
func child(node *yaml.Node, step string) (begin, value *yaml.Node) {
	if node.Kind == yaml.SequenceNode {
		i, err := strconv.Atoi(step)
		if err != nil || i >= len(node.Content) {
			return nil, nil
		}
		return node.Content[i], node.Content[i]
	}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == step {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// reason is an error of the file system without the path, which the caller
// names.
func reason(err error) string {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
