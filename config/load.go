package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
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
	p := parser{file: file, config: Default()}
	p.yaml(source)
	p.environment(environ)
	for i := range p.config.Accounts {
		p.config.Accounts[i].setDefaults()
	}
	p.secrets()
	if len(p.findings) == 0 {
		p.check()
	}
	if len(p.findings) > 0 {
		return nil, p.findings
	}
	return p.config, nil
}

type parser struct {
	file     string
	config   *Config
	root     *yaml.Node
	findings Findings
}

func (p *parser) found(line, column int, format string, args ...any) {
	p.findings = append(p.findings, Finding{p.file, line, column, fmt.Sprintf(format, args...)})
}

func (p *parser) yaml(source []byte) {
	if len(source) > maxSize {
		p.found(1, 1, "the file is larger than 1 MB")
		return
	}
	var doc yaml.Node
	if err := yaml.Load(source, &doc); err != nil {
		p.faults(err)
		return
	}
	if len(doc.Content) > 0 {
		p.root = doc.Content[0]
	}
	if err := yaml.Load(source, p.config, yaml.WithKnownFields()); err != nil {
		p.faults(err)
	}
}

var unknownField = regexp.MustCompile(`^field (\S+) not found in type (\S+)$`)

func (p *parser) faults(err error) {
	all, ok := errors.AsType[*yaml.LoadErrors](err)
	if !ok {
		if one, ok := errors.AsType[*yaml.LoadError](err); ok {
			all = &yaml.LoadErrors{Errors: []*yaml.LoadError{one}}
		} else {
			p.found(1, 1, "this is not a YAML document: %v", err)
			return
		}
	}
	for _, e := range all.Errors {
		text := strings.TrimPrefix(e.Message, "yaml: ")
		if m := unknownField.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("there is no key %q here%s", m[1], suggestion(m[1], m[2]))
		}
		p.found(max(1, e.Mark.Line), max(1, e.Mark.Column), "%s", text)
	}
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
	best, least := "", 3
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if d := levenshtein.ComputeDistance(key, name); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// environment lays the variables that begin with CRMSYNC_ over the file.
func (p *parser) environment(environ []string) {
	variables := env.ToMap(environ)
	p.overlay(p.config, "CRMSYNC_", variables)
	for i := range p.config.Accounts {
		a := &p.config.Accounts[i]
		p.overlay(a, "CRMSYNC_ACCOUNTS_"+strings.ToUpper(strings.ReplaceAll(a.Name, "-", "_"))+"_", variables)
	}
	for _, s := range p.config.secrets() {
		// A secret in the environment replaces the file's, whichever way
		// either is given.
		_, value := variables[s.variable]
		_, file := variables[s.variable+"_FILE"]
		switch {
		case value && !file:
			*s.file = ""
		case file && !value:
			*s.value = Secret{}
		}
	}
}

func (p *parser) overlay(into any, prefix string, variables map[string]string) {
	err := env.ParseWithOptions(into, env.Options{Prefix: prefix, Environment: variables})
	if err == nil {
		return
	}
	faults := []error{err}
	if all, ok := errors.AsType[env.AggregateError](err); ok {
		faults = all.Errors
	}
	for _, fault := range faults {
		problem := fault.Error()
		if parse, ok := errors.AsType[env.ParseError](fault); ok {
			problem = fmt.Sprintf("%s… (%s): %v", prefix, parse.Name, parse.Err)
		}
		p.findings = append(p.findings, Finding{File: "environment", Problem: problem})
	}
}

// A secretKey is a place of a secret in the configuration.
type secretKey struct {
	value    *Secret
	file     *string
	variable string
	path     []string
}

func (c *Config) secrets() []secretKey {
	all := []secretKey{
		{&c.Database.URL, &c.Database.URLFile, "CRMSYNC_DATABASE_URL", []string{"database", "url"}},
		{&c.NATS.Token, &c.NATS.TokenFile, "CRMSYNC_NATS_TOKEN", []string{"nats", "token"}},
	}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		add := func(key string, value *Secret, file *string) {
			variable := "CRMSYNC_ACCOUNTS_" + strings.ToUpper(strings.ReplaceAll(a.Name, "-", "_")+"_"+key)
			all = append(all, secretKey{value, file, variable, []string{"accounts", strconv.Itoa(i), key}})
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

// at reports a fault of the value under a path of keys and list indexes, where
// the file has it, else of its nearest parent there.
func (p *parser) at(path []string, format string, args ...any) {
	line, column := 0, 0
	node := p.root
	for _, step := range path {
		if node == nil {
			break
		}
		key, next := child(node, step)
		if next == nil {
			break
		}
		line, column, node = key.Line, key.Column, next
	}
	p.found(line, column, format, args...)
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
