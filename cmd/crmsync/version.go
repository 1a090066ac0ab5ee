package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version, the commit and the Go version", Args: cobra.NoArgs}
	output := outputFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		commit := "unknown"
		if info, ok := debug.ReadBuildInfo(); ok {
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					commit = s.Value
				}
			}
		}
		if asJSON {
			return writeJSON(cmd.OutOrStdout(), map[string]string{"version": version, "commit": commit, "go": runtime.Version()})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "crmsync %s (commit %s, %s)\n", version, commit, runtime.Version())
		return nil
	}
	return c
}
