package config

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// environment lays the variables that begin with CRMSYNC_ over the file.
func (p *parser) environment() {
	p.overlay(p.config, "CRMSYNC_")
	for i := range p.config.Accounts {
		p.overlay(&p.config.Accounts[i], p.variable("accounts", strconv.Itoa(i))+"_")
	}
	for i := range p.config.Notify {
		p.overlay(&p.config.Notify[i], p.variable("notify", strconv.Itoa(i))+"_")
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
			if step = strconv.Itoa(n + 1); path[0] == "accounts" {
				step = p.config.Accounts[n].Name
			}
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
			if path := s.path; path[0] == "notify" {
				name = "notify: url"
			}
			if s.account != "" {
				name = "account " + s.account + ": " + s.path[2]
			}
			p.config.Placeholders = append(p.config.Placeholders, p.finding(s.path, "%s is still %q, as in the sample; put your own in", name, placeholder))
		}
	}
}
