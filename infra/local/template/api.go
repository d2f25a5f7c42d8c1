package template

import (
	"strings"
	"time"
)

// Bounds and default of a WebSocket integration's TimeoutInMillis (API Gateway quotas).
const (
	minIntegrationMillis = 50
	maxIntegrationMillis = 29000
)

// api reads the one WebSocket API of the template.
func (r *resolver) api(functions []Function) *API {
	ids := r.live("AWS::ApiGatewayV2::Api")
	if len(ids) == 0 {
		return nil
	}
	id := ids[0]
	n := r.resource(id).get("Properties")
	if len(ids) > 1 {
		r.resource(ids[1]).fail("is a second API: the local stack serves one")
	}
	if p := n.get("ProtocolType").str(); p != "WEBSOCKET" {
		n.get("ProtocolType").fail("%s: the local stack serves WEBSOCKET", quote(p))
	}
	api := &API{
		LogicalID:                id,
		ID:                       node{r, id, map[string]any{"Ref": id}}.str(),
		RouteSelectionExpression: n.get("RouteSelectionExpression").required(),
		Routes:                   map[string]Route{},
	}
	r.routes(api, functions)
	r.stage(api)
	return api
}

func (r *resolver) routes(api *API, functions []Function) {
	answered := map[string]bool{} // logical ids of routes with a RouteResponse
	for _, id := range r.live("AWS::ApiGatewayV2::RouteResponse") {
		answered[r.property(id, "RouteId").required()] = true
	}
	for _, id := range r.live("AWS::ApiGatewayV2::Route") {
		n := r.resource(id).get("Properties")
		key := n.get("RouteKey").required()
		if _, taken := api.Routes[key]; taken {
			n.get("RouteKey").fail("%s: another route has that key", quote(key))
		}
		route := r.integration(n.get("Target"), functions)
		route.TwoWay = n.get("RouteResponseSelectionExpression").str() != "" && answered[id]
		api.Routes[key] = route
		switch kind := n.get("AuthorizationType").str(); {
		case kind == "" || kind == "NONE":
		case kind == "CUSTOM" && key == "$connect":
			api.Authorizer = r.authorizer(n.get("AuthorizerId"), functions)
		case kind == "CUSTOM":
			n.get("AuthorizationType").fail("CUSTOM: only $connect can have an authorizer")
		default:
			n.get("AuthorizationType").fail("%s: the local stack knows NONE and CUSTOM", quote(kind))
		}
	}
}

// integration follows a route's Target, "integrations/<id>".
func (r *resolver) integration(target node, functions []Function) Route {
	id := strings.TrimPrefix(target.required(), "integrations/")
	if r.err != nil {
		return Route{}
	}
	n := r.resource(id).get("Properties")
	if n.raw == nil || r.resource(id).get("Type").str() != "AWS::ApiGatewayV2::Integration" {
		target.fail("%s is no integration of this template", quote(id))
		return Route{}
	}
	if kind := n.get("IntegrationType").str(); kind != "AWS_PROXY" {
		n.get("IntegrationType").fail("%s: the local stack knows AWS_PROXY", quote(kind))
	}
	millis := n.get("TimeoutInMillis").between(minIntegrationMillis, maxIntegrationMillis, maxIntegrationMillis)
	return Route{
		Function: n.get("IntegrationUri").functionAt(functions),
		Timeout:  time.Duration(millis) * time.Millisecond,
	}
}

func (r *resolver) authorizer(at node, functions []Function) *Authorizer {
	id := at.required()
	n := r.resource(id).get("Properties")
	if n.raw == nil || r.resource(id).get("Type").str() != "AWS::ApiGatewayV2::Authorizer" {
		at.fail("%s is no authorizer of this template", quote(id))
		return nil
	}
	if kind := n.get("AuthorizerType").str(); kind != "REQUEST" {
		n.get("AuthorizerType").fail("%s: a WebSocket API takes REQUEST", quote(kind))
	}
	return &Authorizer{
		Function:        n.get("AuthorizerUri").functionAt(functions),
		IdentitySources: n.get("IdentitySource").strs(),
	}
}

func (r *resolver) stage(api *API) {
	ids := r.live("AWS::ApiGatewayV2::Stage")
	if len(ids) != 1 {
		r.resource(api.LogicalID).fail("has %d stages: the local stack serves one", len(ids))
		return
	}
	n := r.resource(ids[0]).get("Properties")
	api.Stage = n.get("StageName").required()
	for key, route := range api.Routes {
		settings := n.get("RouteSettings").get(key)
		if settings.raw == nil {
			settings = n.get("DefaultRouteSettings")
		}
		route.Throttling = settings.throttling()
		api.Routes[key] = route
	}
}

// throttling reads the limits of route settings. One without the other is no limit to API Gateway, but 0: it refuses every request.
func (n node) throttling() Throttling {
	rate, burst := n.get("ThrottlingRateLimit"), n.get("ThrottlingBurstLimit")
	if rate.raw == nil && burst.raw == nil {
		return Throttling{}
	}
	t := Throttling{RateLimit: rate.number(0), BurstLimit: burst.integer(0)}
	if t.RateLimit <= 0 || t.BurstLimit < 1 {
		n.fail("every request would be answered 429: give ThrottlingRateLimit above 0 and ThrottlingBurstLimit of at least 1, or neither")
	}
	return t
}
