package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fenced are the blocks of a page that have a file's name, or are commands.
var fenced = regexp.MustCompile("(?ms)^```(?:(?:yaml|json) ([a-z0-9./-]+)|(console))\n(.*?)^```$")

// What the manual of the mapping says that somebody types is typed, in a folder with
// the files that it shows, and what it says comes of it comes of it. In an answer …
// stands for any text, and on a line of its own for any lines.
func TestTheManualOfTheMapping(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	info := simulate(t)
	dir := filepath.Dir(info.Config)
	serve(t, info).working(info)
	known(t, info, newLoad(info), "16315551234")
	editedIn(t, info, info.CRMs()[1], "16315551234", "Ada", "Lovelace", 20*time.Second)
	settled(t, info)
	commands := 0
	for _, b := range fenced.FindAllSubmatch(manual, -1) {
		file, text := string(b[1]), string(b[3])
		if file != "" {
			path := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for call := range strings.SplitSeq(strings.TrimPrefix(text, "$ "), "\n$ ") {
			line, want, _ := strings.Cut(call, "\n")
			commands++
			got := typed(t, dir, line)
			if !answerOf(want).MatchString(strings.TrimRight(got, "\n") + "\n") {
				t.Errorf("$ %s\nanswers\n%s\nand the manual says\n%s", line, got, want)
			}
		}
	}
	if commands < 10 {
		t.Errorf("%d commands in the manual", commands)
	}
}

// typed is what a command line in a folder answers.
func typed(t *testing.T, dir, line string) string {
	t.Helper()
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	line, waits := strings.CutPrefix(line, "sleep 2; ")
	if waits {
		time.Sleep(2 * time.Second)
	}
	rest, ours := strings.CutPrefix(line, "crmsync ")
	if !ours {
		t.Fatalf("the manual has a command that is not crmsync's: %s", line)
	}
	var args []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(rest, -1) {
		args = append(args, strings.Trim(word, "'"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput() // its exit code is not the manual's matter
	return string(out)
}

// answerOf matches what the manual says of an answer.
func answerOf(text string) *regexp.Regexp {
	pattern := "(?s)^"
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if strings.TrimSpace(line) == "…" {
			pattern += "(?:[^\n]*\n)*?"
			continue
		}
		parts := strings.Split(line, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern += strings.Join(parts, "[^\n]*?") + "\n"
	}
	return regexp.MustCompile(pattern + "$")
}
