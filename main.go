// Longlink is a TCP long-connection push gateway; see README.md.
package main

import (
	"os"

	"longlink/pkg/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
