package app

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (a *App) server() *http.Server {
	mux := http.NewServeMux()
	webhooks := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.now.Load().intake.ServeHTTP(w, r) })
	mux.Handle("/webhooks/{account}", webhooks)
	if path := a.config.PublicPath(); path != "" { // of a proxy that leaves it in
		mux.Handle(path+"/webhooks/{account}", webhooks)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]any{"status": "ok"}) })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	mux.Handle("GET "+heldPath, a.control.only(a.held))
	stopping := make(chan struct{})
	mux.Handle("GET "+comparePath, a.control.only(func(w http.ResponseWriter, r *http.Request) { a.compareHere(stopping, w, r) }))
	mux.Handle("GET "+trySyncPath, a.control.only(func(w http.ResponseWriter, r *http.Request) { a.trySyncHere(stopping, w, r) }))
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    32 << 10,
	}
	server.RegisterOnShutdown(func() { close(stopping) })
	return server
}

// ready says whether webhooks can be accepted: 200 while the broker and the
// database answer. An account in trouble is reported and is no reason to turn
// webhooks away.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	status := http.StatusOK
	check := func(err error) string {
		if err == nil {
			return "ok"
		}
		status = http.StatusServiceUnavailable
		return err.Error()
	}
	report := map[string]any{"broker": check(a.broker.Ready(ctx)), "database": check(a.store.Ping(ctx))}
	accounts := map[string]string{}
	for _, account := range a.now.Load().accounts {
		accounts[account.name] = account.state()
	}
	report["accounts"] = accounts
	report["mapping_revision"] = a.now.Load().mapping.Revision()
	report["configuration"] = "ok"
	if why := a.rejected.Load(); why != nil {
		report["configuration"] = *why
	}
	if a.stopping.Load() {
		status = http.StatusServiceUnavailable
		report["stopping"] = true
	}
	answer(w, status, report)
}

// Delivering reports whether every account is being delivered to.
func (a *App) Delivering() bool {
	for _, account := range a.now.Load().accounts {
		if account.state() != "ok" {
			return false
		}
	}
	return true
}

func (a *account) state() string {
	if p := a.paused.Load(); p != nil {
		return "paused by " + p.PausedBy + " since " + p.PausedAt.UTC().Format(time.RFC3339) + ": deliveries wait"
	}
	switch state, problem := a.report(); state {
	case Receiving, Working:
		return "ok"
	case Starting:
		return "starting"
	case BreakerOpen, Unauthorized:
		return "in trouble: calls fail, deliveries wait: " + problem
	default:
		return problem
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone asks again
}
