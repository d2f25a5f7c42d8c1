// Package readme does what README.md says. Everything is in its test files: the command blocks are run against a system that they start
// themselves, on ports of its own; the frames of the contract are sent and awaited; the tables are held against the code and the template.
// A block that nobody knows how to check fails.
//
// With Go and make alone, blocks that want another tool are left out. README_TOOLS=1 runs them as well, and a tool that is missing then
// is a failure: make readme fetches them and sets it.
package readme
