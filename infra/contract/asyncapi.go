package main

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"

	"example.org/realtime/shared/contract"
)

const about = `Events between clients and the service, as JSON envelopes on a WebSocket. A Socket.IO client has the same events with
the same payloads (the member data of an envelope) in the namespace ` + contract.Namespace + `, and acks where it asks for them.
What a backend invokes the functions publish and control with is request and answer, and no channel: see schema/publish
and schema/control, or realtime.d.ts.`

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
		{"info", document{{"title", "Realtime events"}, {"version", "1.0.0"}, {"description", about}}},
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
	return append([]byte("# Written by make contract from shared/contract: edit that, not this.\n"), body...), nil
}

// message adds a message to the components, and to the channel's references to them.
func (c *built) message(messages, refs document, name string, payload *schema) (document, document) {
	key := name
	if key != "ack" {
		key = kebab(name)
	}
	about := document{{"name", name}, {"title", name}}
	if summary := c.comments[name]; summary != "" {
		about = append(about, member[any]{"summary", summary})
	}
	about = append(about, member[any]{"payload", payload})
	if sample, ok := c.samples[name]; ok {
		example := document{{"payload", document{{"event", name}, {"data", sample}}}}
		about = append(about, member[any]{"examples", []any{example}})
	}
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
