package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func healthCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask a running worker whether it is ready, for container health checks",
		Args:  cobra.NoArgs,
	}
	address := c.Flags().String("url", "http://127.0.0.1:8080/readyz", "the worker's /readyz or /healthz")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		request, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, *address, nil)
		if err != nil {
			return usageError{err}
		}
		client := http.Client{Timeout: 2 * time.Second}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", *address, response.Status)
		}
		return nil
	}
	return c
}
