package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crmsync/cmd/internal/sandbox"
)

func simulateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run the simulated vendors alone, for a worker that you start yourself",
		Args:  cobra.NoArgs,
	}
	options := simulateFlags(c, "data, beside the written configuration")
	output := outputFlag(c)
	dir := c.Flags().String("write-config", "", "write a crmsync.yaml and a mapping.yaml into this folder that point at the simulators")
	c.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		asJSON, err := output()
		if err != nil {
			return err
		}
		o, err := options()
		if err != nil {
			return err
		}
		worker := ""
		if *dir != "" {
			if worker, err = sandbox.WorkerAddress(o); err != nil {
				return err
			}
			if o.Home, err = filepath.Abs(*dir); err != nil {
				return err
			}
		}
		s, err := sandbox.StartSimulators(o, worker)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		if *dir != "" {
			if err := s.WriteConfig(*dir, cmp.Or(o.Data, "data")); err != nil {
				return err
			}
		}
		if asJSON {
			err = writeJSON(cmd.OutOrStdout(), s.Info)
		} else {
			out := cmd.OutOrStdout()
			printAddresses(out, s.Info)
			printCredentials(out, s.Info)
			if *dir != "" {
				fmt.Fprintf(out, "\nStart the worker: %s serve --config %s\n", program(), s.Info.Config)
			}
			fmt.Fprintln(out, "\nCtrl-C stops the simulators.")
		}
		<-cmd.Context().Done()
		return err
	}
	return c
}

// sandboxFlags adds the flags that sandbox and simulate share, which differ in
// where the worker's data lies by default.
func sandboxFlags(c *cobra.Command, dataDefault string) func() (sandbox.Options, error) {
	host := c.Flags().String("listen", "127.0.0.1", "the host to listen on")
	port := c.Flags().Int("port", 0, "the first port; 0 for free ones")
	quota := c.Flags().String("quota", "documented", "the vendors' quotas: documented or off")
	lag := c.Flags().String("lag", "on", "the lag of the vendors' search index: on or off")
	data := c.Flags().String("data", "", "the worker's data directory; default "+dataDefault)
	plain := c.Flags().Bool("plain-messages", false, "let HubSpot refuse custom properties on messages, as some accounts may")
	latency := c.Flags().String("latency", "0", "service time of a vendor's call, such as 40ms-120ms")
	return func() (sandbox.Options, error) {
		o := sandbox.Options{Host: *host, Port: *port, Quota: *quota == "documented", Lag: *lag == "on", Data: *data, PlainMessages: *plain}
		if *quota != "documented" && *quota != "off" {
			return o, usageError{fmt.Errorf("--quota is %q; it is documented or off", *quota)}
		}
		if *lag != "on" && *lag != "off" {
			return o, usageError{fmt.Errorf("--lag is %q; it is on or off", *lag)}
		}
		if *port < 0 || *port > 65000 {
			return o, usageError{fmt.Errorf("--port is %d; it is 0 for free ports, or the first of some below 65000", *port)}
		}
		var err error
		if o.LatencyMin, o.LatencyMax, err = parseLatency(*latency); err != nil {
			return o, usageError{fmt.Errorf("--latency is %q; write one time or two, such as 40ms-120ms", *latency)}
		}
		return o, nil
	}
}

// simulateFlags adds those that simulate and stress share.
func simulateFlags(c *cobra.Command, dataDefault string) func() (sandbox.Options, error) {
	options := sandboxFlags(c, dataDefault)
	only := c.Flags().String("only", "", "the CRMs that the worker gets accounts for, such as hubspot or hubspot,zoho; default all")
	return func() (sandbox.Options, error) {
		o, err := options()
		if err != nil || *only == "" {
			return o, err
		}
		o.Only = strings.Split(*only, ",")
		for _, name := range o.Only {
			if !slices.ContainsFunc(sandbox.Info{}.CRMs(), func(c sandbox.CRM) bool { return c.Account == name }) {
				return o, usageError{fmt.Errorf("--only is %q; it is hubspot, zoho and bitrix24, or some of them with commas between", *only)}
			}
		}
		return o, nil
	}
}

func parseLatency(text string) (least, most time.Duration, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if least, err = time.ParseDuration(from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return least, least, nil
	}
	if most, err = time.ParseDuration(to); err != nil {
		return 0, 0, err
	}
	if least < 0 || most < least {
		return 0, 0, errors.New("the second is the longer one")
	}
	return least, most, nil
}

func printCredentials(w io.Writer, info sandbox.Info) {
	for _, c := range [][2]string{
		{"WhatsApp token", info.WhatsApp.Token},
		{"WhatsApp app secret", info.WhatsApp.AppSecret},
		{"WhatsApp verify token", info.WhatsApp.VerifyToken},
		{"HubSpot token", info.HubSpot.Token},
		{"HubSpot client id", info.HubSpot.ClientID},
		{"HubSpot client secret", info.HubSpot.ClientSecret},
		{"HubSpot refresh token", info.HubSpot.RefreshToken},
		{"Zoho client id", info.Zoho.ClientID},
		{"Zoho client secret", info.Zoho.ClientSecret},
		{"Zoho refresh token", info.Zoho.RefreshToken},
		{"Bitrix24 webhook", info.Bitrix24.URL},
		{"Bitrix24 app token", info.Bitrix24.ApplicationToken},
		{"Bitrix24 client id", info.Bitrix24.ClientID},
		{"Bitrix24 client secret", info.Bitrix24.ClientSecret},
		{"Bitrix24 refresh token", info.Bitrix24.RefreshToken},
	} {
		fmt.Fprintf(w, "  %-22s %s\n", c[0], c[1])
	}
}

func printAddresses(w io.Writer, info sandbox.Info) {
	line := func(name, text string) { fmt.Fprintf(w, "  %-10s %s\n", name, text) }
	if info.Worker != nil {
		line("worker", info.Worker.URL)
	}
	line("WhatsApp", info.WhatsApp.URL)
	for _, crm := range info.CRMs() {
		line(crm.Name, crm.URL)
	}
	if info.Config != "" {
		line("config", info.Config)
	}
}
