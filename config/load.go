package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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

func (p *parser) found(line, column int, format string, args ...any) {
	p.findings = append(p.findings, Finding{p.file, line, column, fmt.Sprintf(format, args...)})
}

// reason is an error of the file system without the path, which the caller
// names.
func reason(err error) string {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
