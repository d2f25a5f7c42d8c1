// Package console tests the console of the local stack in a browser: its views, and what can be done in them, beside the program that
// make run starts.
//
// The tests run with CONSOLE=1, and want in place what they drive:
//
//	npm ci --prefix infra/e2e/console
//	apt-get install chromium
//	CONSOLE=1 go test -count=1 ./infra/e2e/console
//
// CHROMIUM names the browser to take instead of /usr/bin/chromium. CONSOLE_SCREENSHOTS names a folder for pictures of every view: those of
// the README are in infra/local/console/screenshots, and make screenshots takes them anew.
//
// TestLoad measures the page beside many connections and events, few of them by default:
//
//	CONSOLE=1 go test -count=1 -v -run Load ./infra/e2e/console -args -connections 10000 -events 1000
package console
