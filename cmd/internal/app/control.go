package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// A control is how commands on the same machine ask a running worker what only
// it can know: where it listens, and a word that only those can read who may
// read its data directory.
type control struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	file  string
}

func controlFile(dir string) string { return filepath.Join(dir, "control.json") }

// openControl writes down how this worker is asked.
func openControl(dir, address string) (control, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return control{}, err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	c := control{URL: "http://" + net.JoinHostPort(host, port), Token: rand.Text(), file: controlFile(dir)}
	text, err := json.Marshal(c)
	if err == nil {
		err = replaceFile(c.file, text)
	}
	if err != nil {
		return control{}, fmt.Errorf("write how the worker is asked: %w", err)
	}
	return c, nil
}

func (c control) close() {
	if c.file != "" {
		_ = os.Remove(c.file) // one that is left says nothing that is still true
	}
}

// only lets those pass who have read the data directory.
func (c control) only(next http.HandlerFunc) http.Handler {
	want := []byte("Bearer " + c.Token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.Token == "" || subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		next(w, r)
	})
}

// errNoWorker says that no worker has left word how it is asked.
var errNoWorker = errors.New("no worker is running on this data directory")

// askWorker asks the worker that runs on a data directory.
func askWorker(ctx context.Context, dir, path string, into any) error {
	answer, err := callWorker(ctx, dir, path)
	if err != nil {
		return err
	}
	defer answer.Close()
	body, err := io.ReadAll(io.LimitReader(answer, 64<<20))
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// callWorker asks the worker that runs on a data directory, and returns its
// answer as it comes.
func callWorker(ctx context.Context, dir, path string) (io.ReadCloser, error) {
	text, err := os.ReadFile(controlFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoWorker
	}
	var c control
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("the worker answers %s", response.Status)
	}
	return response.Body, nil
}
