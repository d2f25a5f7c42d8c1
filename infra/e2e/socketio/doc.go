// Package socketio tests the whole system with Socket.IO clients, as they are in their registries: socket.io-client in Node and in a
// browser, python-socketio, and, where a client would never send what a test has to, a raw WebSocket.
//
// The tests in Go run always. Those of the clients run with SOCKETIO_CLIENTS=1, and want in place what they drive:
//
//	npm ci --prefix infra/e2e/socketio
//	python3 -m venv .tools/python-socketio
//	.tools/python-socketio/bin/pip install -r infra/tools/python-socketio.txt
//	apt-get install chromium
//	SOCKETIO_CLIENTS=1 go test -count=1 ./infra/e2e/socketio
//
// CHROMIUM and PYTHON_SOCKETIO name the browser and the Python to take instead of /usr/bin/chromium and the one above.
//
// Each script starts nothing but clients: a test in Go starts a system with the settings that the script is about, and the script acts
// as the backend itself, over the Invoke API.
package socketio
