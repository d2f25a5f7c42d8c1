// Command contract writes events/contract: the contract of shared/contract as JSON Schema, AsyncAPI and TypeScript.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "contract:", err)
		os.Exit(1)
	}
}

// output is where the files go, in the repository.
const output = "events/contract"

// run writes the files of the repository in root, and removes those that are no longer among them.
func run(root string) error {
	c, err := build(root)
	if err != nil {
		return err
	}
	files, err := c.files()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(root, output)); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, output, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as the rest of the repository
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // as the rest of the repository
			return err
		}
	}
	return nil
}
