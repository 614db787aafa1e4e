// Command go_regexp says what Go's regexp package makes of patterns.
//
// Each line of the standard input holds a pattern and an input, both quoted as Go strings
// and separated by a tab; further columns are ignored. The output has the same two columns
// and a third: "error" if the pattern is refused, otherwise "match" or "no". Lines that are
// empty or begin with # go through unchanged, so that a table can be made anew from itself:
//
//	go run . < ../../testdata/patterns.tsv > patterns.new
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		line := in.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			fmt.Fprintln(out, line)
			continue
		}
		row, err := answer(line)
		if err != nil {
			out.Flush()
			fmt.Fprintf(os.Stderr, "%s: %v\n", line, err)
			os.Exit(1)
		}
		fmt.Fprintln(out, row)
	}
	if err := in.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(line string) (string, error) {
	columns := strings.Split(line, "\t")
	if len(columns) < 2 {
		return "", fmt.Errorf("no tab between pattern and input")
	}
	pattern, err := strconv.Unquote(columns[0])
	if err != nil {
		return "", err
	}
	input, err := strconv.Unquote(columns[1])
	if err != nil {
		return "", err
	}
	return columns[0] + "\t" + columns[1] + "\t" + result(pattern, input), nil
}

func result(pattern, input string) string {
	re, err := compile(pattern)
	switch {
	case err != nil:
		return "error"
	case re.MatchString(input):
		return "match"
	}
	return "no"
}

// The rows of one pattern usually follow each other.
var last struct {
	pattern string
	re      *regexp.Regexp
	err     error
}

func compile(pattern string) (*regexp.Regexp, error) {
	if last.pattern != pattern || last.re == nil && last.err == nil {
		last.pattern = pattern
		last.re, last.err = regexp.Compile(pattern)
	}
	return last.re, last.err
}
