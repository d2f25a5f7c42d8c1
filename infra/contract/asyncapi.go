package main

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"

	"example.org/realtime/shared/contract"
)

var description = fmt.Sprintf(`Events between clients and the service on a WebSocket. The messages are those of a JSON client: one envelope per text
message. One without an event, from the service, is API Gateway's own, when a function failed or there is too much.
%[2]s

A Socket.IO client (version 4, known by the query EIO=4&transport=websocket of its handshake) has the same events, payloads
and acks in the namespace %[1]s. Envelopes and its packets:

    {"event": EVENT, "data": DATA}             42%[1]s,[EVENT,DATA]
    {"event": EVENT, "data": DATA, "id": 7}    42%[1]s,7[EVENT,DATA]
    {"event": "ack", "id": 7, "data": DATA}    43%[1]s,7[DATA]
    {"event": "error", "data": DATA}           44%[1]s,{"message":...,"data":DATA}   when its CONNECT is refused

What a backend invokes the functions publish and control with is request and answer, and no channel: see schema/publish
and schema/control, or realtime.d.ts.`, contract.Namespace, messageLimit)

// asyncapi is the contract as an AsyncAPI 3 document: the WebSocket, from the service's side.
func (c *built) asyncapi() ([]byte, error) {
	var messages, refs, operations document
	for _, e := range c.server {
		messages, refs = c.message(messages, refs, e.Name, c.serverFrame(e))
		operations = append(operations, member[any]{"send" + pascal(e.Name), operationOf("send", e.Name, c.comments[e.Name], nil)})
	}
	ack := document{{"channel", ref("#/channels/socket")}, {"messages", []any{ref("#/channels/socket/messages/ack")}}}
	for _, e := range c.client {
		messages, refs = c.message(messages, refs, e.Name, c.clientFrame(e))
		operations = append(operations, member[any]{"receive" + pascal(e.Name), operationOf("receive", e.Name, c.comments[e.Name], ack)})
	}
	messages, refs = c.message(messages, refs, "ack", c.ackFrame())
	var schemas members
	used := map[string]bool{}
	for _, e := range slices.Concat(c.server, c.client) {
		used[e.Payload.Title] = e.Payload.Type != nil
		c.uses(e.Payload, used)
	}
	used[c.ack.Title] = true
	for _, def := range c.defs {
		if used[def.name] {
			schemas = append(schemas, def)
		}
	}
	whole, err := marshal(document{
		{"asyncapi", "3.1.0"},
		{"info", document{{"title", "Realtime events"}, {"version", "1.0.0"}, {"description", description}}},
		{"defaultContentType", "application/json"},
		{"servers", document{
			{"aws", document{
				{"host", "{api}.execute-api.{region}.amazonaws.com"},
				{"pathname", "/{stage}"},
				{"protocol", "wss"},
				{"description", "A deployed stage: the output WebSocketUrl of the stack."},
				{"variables", document{
					{"api", document{{"description", "Id of the API."}}},
					{"region", document{{"default", "us-east-1"}}},
					{"stage", document{{"default", "live"}}},
				}},
				{"security", []any{ref("#/components/securitySchemes/header"), ref("#/components/securitySchemes/query")}},
			}},
			{"local", document{
				{"host", "127.0.0.1:3001"},
				{"pathname", "/local"},
				{"protocol", "ws"},
				{"description", "make run"},
				{"security", []any{ref("#/components/securitySchemes/header"), ref("#/components/securitySchemes/query")}},
			}},
		}},
		{"channels", document{
			{"socket", document{
				{"address", "/"},
				{"title", "The WebSocket"},
				{"messages", refs},
				{"bindings", document{{"ws", document{
					{"method", "GET"},
					{"query", document{{"type", "object"}, {"properties", document{{"token", document{
						{"type", "string"}, {"description", "The JWT, where a header cannot be set."},
					}}}}}},
					{"headers", document{{"type", "object"}, {"properties", document{{"Sec-WebSocket-Protocol", document{
						{"type", "string"}, {"description", "bearer, and the JWT: for browsers, which set no other header."}, {"examples", []any{"bearer, <jwt>"}},
					}}}}}},
					{"bindingVersion", "0.1.0"},
				}}}},
			}},
		}},
		{"operations", operations},
		{"components", document{
			{"messages", messages},
			{"schemas", schemas},
			{"securitySchemes", document{
				{"header", document{{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}}},
				{"query", document{{"type", "httpApiKey"}, {"name", "token"}, {"in", "query"}}},
			}},
		}},
	})
	if err != nil {
		return nil, err
	}
	whole = bytes.ReplaceAll(whole, []byte(`"`+defs), []byte(`"#/components/schemas/`))
	var inOrder any
	if err := yaml.UnmarshalWithOptions(whole, &inOrder, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("asyncapi: %w", err)
	}
	body, err := yaml.MarshalWithOptions(inOrder, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("asyncapi: %w", err)
	}
	body = bytes.ReplaceAll(body, []byte("\n    \n"), []byte("\n\n")) // no line of spaces alone
	return append([]byte("# Written by make contract from shared/contract: edit that, not this.\n"), body...), nil
}

// message adds a message to the components, and to the channel's references to them.
func (c *built) message(messages, refs document, name string, payload *schema) (document, document) {
	key := name
	if key != "ack" {
		key = kebab(name)
	}
	summary := c.comments[name]
	if name == "ack" {
		summary = c.ack.Description
	}
	about := document{{"name", name}, {"title", name}, {"summary", summary}}
	if payload.Properties.get("id") != nil {
		about = append(about, member[any]{"correlationId", document{{"location", "$message.payload#/id"}}})
	}
	var examples []any
	for _, example := range c.examples[name] {
		examples = append(examples, document{{"payload", example}})
	}
	about = append(about, member[any]{"payload", payload}, member[any]{"examples", examples})
	return append(messages, member[any]{key, about}), append(refs, member[any]{key, ref("#/components/messages/" + key)})
}

func operationOf(action, event, summary string, reply document) document {
	o := document{
		{"action", action},
		{"channel", ref("#/channels/socket")},
		{"summary", summary},
		{"messages", []any{ref("#/channels/socket/messages/" + kebab(event))}},
	}
	if reply != nil {
		o = append(o, member[any]{"reply", reply})
	}
	return o
}

func ref(to string) document { return document{{"$ref", to}} }
