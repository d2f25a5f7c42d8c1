package main

import (
	"strings"
)

// dialect and base begin every schema; the base is the module's path.
const (
	dialect = "https://json-schema.org/draft/2020-12/schema"
	base    = "https://example.org/realtime/contract/"
)

// files are all that make contract writes, by their paths in events/contract.
func (c *built) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	schemas := map[string]*schema{
		"ack":              c.ack,
		"error":            c.failure,
		"server-to-client": c.serverEnvelope(),
		"client-to-server": c.clientEnvelope(),
		"publish/request":  oneOf("PublishRequest", publishing, c.publish),
		"publish/answer":   c.answer,
	}
	for i, e := range c.server {
		schemas["events/"+kebab(e.Name)] = e.Payload
		schemas["publish/"+kebab(e.Name)] = c.publish[i]
	}
	for _, e := range c.client {
		schemas["events/"+kebab(e.Name)] = e.Payload
	}
	var requests []*schema
	for _, o := range c.control {
		schemas["control/"+kebab(o.Name)] = o.Request
		schemas["control/"+kebab(o.Name)+".answer"] = o.Answer
		requests = append(requests, o.Request)
	}
	schemas["control/request"] = oneOf("ControlRequest", "What the control function is invoked with.", requests)
	for path, s := range schemas {
		path = "schema/" + path + ".json"
		whole, err := marshal(c.bundle(path, s))
		if err != nil {
			return nil, err
		}
		if files[path], err = format(whole); err != nil {
			return nil, err
		}
	}
	var err error
	if files["realtime.d.ts"], err = c.typescript(); err != nil {
		return nil, err
	}
	if files["asyncapi.yaml"], err = c.asyncapi(); err != nil {
		return nil, err
	}
	return files, nil
}

// bundle is a schema as a file of its own, with those that it refers to.
func (c *built) bundle(path string, s *schema) *schema {
	whole := *s
	whole.Dialect, whole.ID = dialect, base+path
	used := map[string]bool{}
	c.uses(s, used)
	for _, def := range c.defs {
		if used[def.name] {
			whole.Defs = append(whole.Defs, def)
		}
	}
	return &whole
}

// uses notes the definitions that a schema refers to, and those that they refer to.
func (c *built) uses(s *schema, used map[string]bool) {
	s.walk(func(s *schema) {
		name := strings.TrimPrefix(s.Ref, defs)
		if name != "" && !used[name] {
			used[name] = true
			c.uses(c.defs.get(name), used)
		}
	})
}
