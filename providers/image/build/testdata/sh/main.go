// Command sh is all of a base image: a shell that knows what the Dockerfiles of the tests
// run. Commands are joined by && or ;, words are not split after variables are replaced.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "-c" {
		fail("usage: sh -c SCRIPT")
	}
	for _, command := range strings.Split(strings.ReplaceAll(os.Args[2], ";", "&&"), "&&") {
		words := strings.Fields(command)
		if len(words) == 0 {
			continue
		}
		for i, w := range words {
			words[i] = os.ExpandEnv(strings.Trim(w, `"'`))
		}
		out := os.Stdout
		if n := len(words); n > 2 && words[n-2] == ">" {
			f, err := os.Create(words[n-1])
			check(err)
			out, words = f, words[:n-2]
		}
		run(out, words[0], words[1:])
		if out != os.Stdout {
			check(out.Close())
		}
	}
}

func run(out *os.File, name string, args []string) {
	arg := func(i int) string {
		if i >= len(args) {
			fail(name + ": too few arguments")
		}
		return args[i]
	}
	switch name {
	case "echo":
		fmt.Fprintln(out, strings.Join(args, " "))
	case "mkdir":
		check(os.MkdirAll(arg(0), 0o755))
	case "rm":
		check(os.RemoveAll(arg(0)))
	case "ln":
		check(os.Symlink(arg(0), arg(1)))
	case "chmod":
		mode, err := strconv.ParseUint(arg(0), 8, 32)
		check(err)
		check(os.Chmod(arg(1), os.FileMode(mode)))
	case "chown":
		id, err := strconv.Atoi(arg(0))
		check(err)
		check(os.Lchown(arg(1), id, id))
	case "id":
		fmt.Fprintln(out, os.Getuid())
	case "pwd":
		dir, err := os.Getwd()
		check(err)
		fmt.Fprintln(out, dir)
	case "cat":
		text, err := os.ReadFile(arg(0))
		check(err)
		_, err = out.Write(text)
		check(err)
	case "sha256sum":
		text, err := os.ReadFile(arg(0))
		check(err)
		fmt.Fprintf(out, "%x\n", sha256.Sum256(text))
	case "test": // -n TEXT
		if len(args) < 2 || args[1] == "" {
			os.Exit(1)
		}
	default:
		fail(name + ": not found")
	}
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, "sh: "+text)
	os.Exit(127)
}
