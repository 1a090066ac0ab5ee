package config

import (
	"io"

	"go.yaml.in/yaml/v4"
)

// Print writes the configuration in force as YAML, without secrets.
func (c *Config) Print(w io.Writer) error {
	text, err := yaml.Dump(c)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
