package template

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// base is a template in the manner of the project's: a WebSocket API of raw resources, two functions built by a Makefile, a table
// and a schedule.
const base = `
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: live, AllowedPattern: '[a-z]+', MaxLength: 8}
  RouteKeys: {Type: String, Default: events, AllowedValues: [events, default]}
  Secret: {Type: String, NoEcho: true}
  Rate: {Type: Number, Default: 500, MinValue: 1, MaxValue: 1000}
  Claims: {Type: CommaDelimitedList, Default: 'sub, id'}
Mappings:
  Sizes:
    live: {memory: 512}
Conditions:
  Events: !Equals [!Ref RouteKeys, events]
  NotEvents: !Not [!Condition Events]
  Both: !And [!Condition Events, !Not [!Equals [!Ref Stage, dev]]]
  Either: !Or [!Condition NotEvents, !Equals [!Ref Stage, live]]
Globals:
  Function:
    CodeUri: .
    Timeout: 10
    MemorySize: !FindInMap [Sizes, live, memory]
    Environment:
      Variables:
        TABLE_NAME: !Ref Table
        LOG_LEVEL: info
        CONNECTIONS_ENDPOINT: !Sub https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Stage}
Resources:
  ConnectFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties:
      Timeout: 5
      Environment:
        Variables:
          LOG_LEVEL: debug
          PUBLISH_FUNCTION: !GetAtt PublishFunction.Arn
          CLAIMS: !Join [',', !Ref Claims]
          FIRST_CLAIM: !Select [0, !Ref Claims]
          LAST: !Select [1, !Split ['|', 'a|b']]
          BOTH: !If [Both, 'yes', 'no']
          EITHER: !If [Either, 'yes', 'no']
          NONE: !If [NotEvents, x, !Ref AWS::NoValue]
          LITERAL: !Sub ['${!kept} ${a}-${Stage}', {a: !Ref 'AWS::AccountId'}]
          OCTAL: 0123
  PublishFunction:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub '${AWS::StackName}-publish'
      ReservedConcurrentExecutions: 3
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        MaximumEventAgeInSeconds: 60
        DestinationConfig:
          OnFailure: {Type: SQS, Destination: !GetAtt Failed.Arn}
      Events:
        Tick: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute), Input: '{"a":1}'}}
        Old: {Type: Schedule, Properties: {Schedule: rate(2 hours)}}
        Off: {Type: Schedule, Properties: {Schedule: rate(2 hours), Enabled: false}}
  Rule:
    Type: AWS::Events::Rule
    Properties: {ScheduleExpression: rate(5 minutes), Targets: [{Id: a, Arn: !GetAtt ConnectFunction.Arn}]}
  Failed: {Type: AWS::SQS::Queue}
  Role:
    Type: AWS::IAM::Role
    Properties: {Unread: !GetAtt Nothing.Arn}
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: x, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.event}
  Live:
    Type: AWS::ApiGatewayV2::Stage
    Properties:
      ApiId: !Ref Api
      StageName: !Ref Stage
      AutoDeploy: true
      DefaultRouteSettings: {ThrottlingRateLimit: !Ref Rate, ThrottlingBurstLimit: 200}
      RouteSettings:
        conversations:join: {ThrottlingRateLimit: 0.5, ThrottlingBurstLimit: 2}
        $default: {DetailedMetricsEnabled: true}
  ConnectRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Api
      RouteKey: $connect
      AuthorizationType: CUSTOM
      AuthorizerId: !Ref Auth
      Target: !Sub integrations/${ConnectIntegration}
  ConnectIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${ConnectFunction.Arn}/invocations
      TimeoutInMillis: 5000
  JoinRoute:
    Type: AWS::ApiGatewayV2::Route
    Condition: Events
    Properties:
      RouteKey: conversations:join
      RouteResponseSelectionExpression: $default
      Target: !Join [/, [integrations, !Ref PublishIntegration]]
  JoinAnswer:
    Type: AWS::ApiGatewayV2::RouteResponse
    Condition: Events
    Properties: {RouteId: !Ref JoinRoute, RouteResponseKey: $default}
  DefaultRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      RouteKey: $default
      RouteResponseSelectionExpression: $default
      Target: !Sub integrations/${PublishIntegration}
  PublishIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt PublishFunction.Arn}
  Auth:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      AuthorizerType: REQUEST
      AuthorizerUri: !Sub arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${PublishFunction.Arn}/invocations
      IdentitySource: [route.request.header.Authorization]
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: sk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      TimeToLiveSpecification: {AttributeName: exp, Enabled: true}
`

// write puts a template into a file of its own and returns the path.
func write(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, source string, o Overrides) *Stack {
	t.Helper()
	s, err := Load(write(t, source), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoad(t *testing.T) {
	globals := map[string]string{
		"TABLE_NAME": "Table", "LOG_LEVEL": "info",
		"CONNECTIONS_ENDPOINT": "https://Api.execute-api.us-east-1.amazonaws.com/live",
	}
	connect := maps.Clone(globals)
	maps.Copy(connect, map[string]string{
		"LOG_LEVEL": "debug", "PUBLISH_FUNCTION": "arn:aws:lambda:us-east-1:000000000000:function:local-publish",
		"CLAIMS": "sub,id", "FIRST_CLAIM": "sub", "LAST": "b", "BOTH": "yes", "EITHER": "yes",
		"LITERAL": "${kept} 000000000000-live", "OCTAL": "0123",
	})
	want := &Stack{
		Functions: []Function{
			{
				LogicalID: "ConnectFunction", Name: "connect", Folder: "connect",
				ARN:         "arn:aws:lambda:us-east-1:000000000000:function:connect",
				Environment: connect, Timeout: 5 * time.Second, MemoryMB: 512,
				Async: Async{MaximumRetryAttempts: 2, MaximumEventAge: 6 * time.Hour},
			},
			{
				LogicalID: "PublishFunction", Name: "local-publish", Folder: "publish",
				ARN:         "arn:aws:lambda:us-east-1:000000000000:function:local-publish",
				Environment: globals, Timeout: 10 * time.Second, MemoryMB: 512, ReservedConcurrency: new(3),
				Async: Async{1, time.Minute, "arn:aws:sqs:us-east-1:000000000000:Failed"},
			},
		},
		API: &API{
			LogicalID: "Api", ID: "Api", Stage: "live", RouteSelectionExpression: "$request.body.event",
			Routes: map[string]Route{
				"$connect":           {Function: "connect", Timeout: 5 * time.Second, Throttling: Throttling{RateLimit: 500, BurstLimit: 200}},
				"conversations:join": {Function: "publish", TwoWay: true, Timeout: 29 * time.Second, Throttling: Throttling{RateLimit: 0.5, BurstLimit: 2}},
				"$default":           {Function: "publish", Timeout: 29 * time.Second}, // no RouteResponse of its own, and no limits in its settings
			},
			Authorizer: &Authorizer{Function: "publish", IdentitySources: []string{"route.request.header.Authorization"}},
		},
		Tables: []Table{{LogicalID: "Table", ARN: "arn:aws:dynamodb:us-east-1:000000000000:table/Table", TTLAttribute: "exp", Create: &dynamodb.CreateTableInput{
			TableName: new("Table"), BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{
				{AttributeName: new("pk"), AttributeType: "S"}, {AttributeName: new("sk"), AttributeType: "S"},
			},
			KeySchema: []types.KeySchemaElement{
				{AttributeName: new("pk"), KeyType: "HASH"}, {AttributeName: new("sk"), KeyType: "RANGE"},
			},
		}}},
		Schedules: []Schedule{
			{
				"PublishFunctionOld", "arn:aws:events:us-east-1:000000000000:rule/PublishFunctionOld", "publish",
				2 * time.Hour, "", "aws.events",
			},
			{
				"PublishFunctionTick", "arn:aws:scheduler:us-east-1:000000000000:schedule/default/PublishFunctionTick", "publish",
				time.Minute, `{"a":1}`, "aws.scheduler",
			},
			{"Rule", "arn:aws:events:us-east-1:000000000000:rule/Rule", "connect", 5 * time.Minute, "", "aws.events"},
		},
	}
	unexported := cmpopts.IgnoreUnexported(dynamodb.CreateTableInput{}, types.AttributeDefinition{}, types.KeySchemaElement{})
	if diff := cmp.Diff(want, load(t, base, Overrides{}), unexported); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOverrides(t *testing.T) {
	s := load(t, base, Overrides{
		Parameters:  map[string]string{"RouteKeys": "default", "Stage": "local", "HOME": "/not/a/parameter"},
		Environment: map[string]string{"LOG_LEVEL": "warn", "NONE": "given", "PATH": "/not/a/variable"},
		Values:      map[string]string{"AWS::Region": "eu-west-1", "Api": "abcdef", "PublishFunction.Arn": "publish"},
	})
	want := map[string]string{
		"TABLE_NAME": "Table", "CONNECTIONS_ENDPOINT": "https://abcdef.execute-api.eu-west-1.amazonaws.com/local",
		"LOG_LEVEL": "warn", "PUBLISH_FUNCTION": "publish", "CLAIMS": "sub,id", "FIRST_CLAIM": "sub", "LAST": "b",
		"BOTH": "no", "EITHER": "yes", "NONE": "given", "LITERAL": "${kept} 000000000000-local", "OCTAL": "0123",
	}
	if diff := cmp.Diff(want, s.Functions[0].Environment); diff != "" {
		t.Errorf("environment -want +got:\n%s", diff)
	}
	if _, ok := s.API.Routes["conversations:join"]; ok || len(s.API.Routes) != 2 || s.API.ID != "abcdef" || s.API.Stage != "local" {
		t.Errorf("API under a false condition: %+v", s.API)
	}
}

// An override of a variable also spares it from being resolved: a secret without a default need not be given as a parameter too.
func TestEnvironmentOverrideIsNotResolved(t *testing.T) {
	source := strings.Replace(base, "LOG_LEVEL: debug", "JWT_SECRET: !Ref Secret", 1)
	s := load(t, source, Overrides{Environment: map[string]string{"JWT_SECRET": "known"}})
	if got := s.Functions[0].Environment["JWT_SECRET"]; got != "known" {
		t.Errorf("JWT_SECRET = %q", got)
	}
}

func TestWithoutAPI(t *testing.T) {
	s := load(t, "Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties: {CodeUri: functions/join/}\n", Overrides{})
	if s.API != nil || len(s.Functions) != 1 || s.Functions[0].Folder != "join" || s.Functions[0].Timeout != 3*time.Second {
		t.Errorf("%+v", s)
	}
}

func TestLongForms(t *testing.T) {
	source := strings.NewReplacer(
		"!GetAtt PublishFunction.Arn\n          CLAIMS", "{'Fn::GetAtt': PublishFunction.Arn}\n          CLAIMS",
		"!Join [',', !Ref Claims]", "{'Fn::Join': [',', {Ref: Claims}]}",
		"!If [Both, 'yes', 'no']", "{'Fn::If': [Both, {'Fn::Sub': 'yes'}, 'no']}",
		"!Not [!Condition Events]", "{'Fn::Not': [{Condition: Events}]}",
	).Replace(base)
	if source == base {
		t.Fatal("nothing replaced")
	}
	if diff := cmp.Diff(load(t, base, Overrides{}).Functions, load(t, source, Overrides{}).Functions); diff != "" {
		t.Errorf("-short +long:\n%s", diff)
	}
}

func TestLoadErrors(t *testing.T) {
	tests := []struct {
		name     string
		old, new string // replaced in base, once
		o        Overrides
		want     string
	}{
		{name: "syntax", old: "Parameters:\n", new: "Parameters: [\n", want: "line "},
		{name: "duplicate key", old: "  Failed: {", new: "  Table: {", want: `mapping key "Table" already defined`},
		{
			name: "unknown reference", old: "LOG_LEVEL: debug", new: "LOG_LEVEL: !Ref Nope",
			want: "ConnectFunction.Properties.Environment.Variables.LOG_LEVEL: Ref Nope: the template has no parameter or resource of that name",
		},
		{
			name: "unknown reference in a Sub", old: "LOG_LEVEL: debug", new: "LOG_LEVEL: !Sub '${Nope}'",
			want: "ConnectFunction.Properties.Environment.Variables.LOG_LEVEL: Ref Nope: ",
		},
		{
			name: "unknown attribute", old: "LOG_LEVEL: debug", new: "LOG_LEVEL: !GetAtt Failed.Nope",
			want: "LOG_LEVEL: GetAtt Failed.Nope: the local stack does not know Nope of AWS::SQS::Queue",
		},
		{
			name: "left out resource", old: "LOG_LEVEL: debug", new: "LOG_LEVEL: !Ref JoinRoute",
			o:    Overrides{Parameters: map[string]string{"RouteKeys": "default"}},
			want: "LOG_LEVEL: Ref JoinRoute: its condition leaves that resource out",
		},
		{
			name: "parameter without a value", old: "LOG_LEVEL: debug", new: "LOG_LEVEL: !Ref Secret",
			want: "LOG_LEVEL: Ref Secret: the parameter has no default: give it a value",
		},
		{
			name: "a list where a string belongs", old: "LOG_LEVEL: debug", new: "LOG_LEVEL: !Ref Claims",
			want: "ConnectFunction.Properties.Environment.Variables.LOG_LEVEL: must be a string",
		},
		{
			name: "unknown intrinsic", old: "LOG_LEVEL: debug", new: "LOG_LEVEL: !Base64 x",
			want: "LOG_LEVEL: Fn::Base64 is not resolved by the local stack",
		},
		{
			name: "bad arguments", old: "LOG_LEVEL: debug", new: "LOG_LEVEL: !If [Both, a]",
			want: "LOG_LEVEL: takes a list of 3 to 3",
		},
		{
			name: "select beyond the end", old: "!Select [0, !Ref Claims]", new: "!Select [2, !Ref Claims]",
			want: "FIRST_CLAIM: Select 2 of a list of 2",
		},
		{
			name: "no such mapping", old: "!FindInMap [Sizes, live, memory]", new: "!FindInMap [Sizes, live, disk]",
			want: "ConnectFunction.Properties.MemorySize: FindInMap: no Mappings.Sizes.live.disk",
		},
		{name: "no such condition", old: "Condition: Events\n    Properties: {R", new: "Condition: Nope\n    Properties: {R", want: `JoinAnswer.Condition: no condition "Nope"`},
		{name: "condition in a circle", old: "Events: !Equals [!Ref RouteKeys, events]", new: "Events: !Condition NotEvents", want: "refers to itself"},
		{name: "not a condition", old: "Events: !Equals [!Ref RouteKeys, events]", new: "Events: !Sub x", want: "Conditions.Events: Fn::Sub is not a condition"},
		{name: "name in a circle", old: "'${AWS::StackName}-publish'", new: "'${PublishFunction}-publish'", want: "refers to itself"},
		{name: "timeout", old: "Timeout: 5\n", new: "Timeout: 901\n", want: "ConnectFunction.Properties.Timeout: 901 is not in 1..900"},
		{name: "not a number", old: "Timeout: 5\n", new: "Timeout: five\n", want: `ConnectFunction.Properties.Timeout: "five" is not a whole number`},
		{name: "retries", old: "MaximumRetryAttempts: 1", new: "MaximumRetryAttempts: 3", want: "PublishFunction.Properties.EventInvokeConfig.MaximumRetryAttempts: 3 is not in 0..2"},
		{name: "cron", old: "rate(1 minute)", new: "cron(0 * * * ? *)", want: "PublishFunction.Properties.Events.Tick.Properties.ScheduleExpression: "},
		{name: "plural", old: "rate(1 minute)", new: "rate(1 minutes)", want: "the unit is singular for 1 and plural above"},
		{name: "another event", old: "Type: ScheduleV2", new: "Type: SQS", want: `PublishFunction.Properties.Events.Tick.Type: "SQS": the local stack knows Schedule and ScheduleV2`},
		{name: "HTTP API", old: "ProtocolType: WEBSOCKET", new: "ProtocolType: HTTP", want: `Api.Properties.ProtocolType: "HTTP": the local stack serves WEBSOCKET`},
		{name: "no expression", old: "RouteSelectionExpression: $request.body.event", new: "Tags: {}", want: "Api.Properties.RouteSelectionExpression: is required"},
		{name: "same route twice", old: "RouteKey: $default", new: "RouteKey: $connect", want: `DefaultRoute.Properties.RouteKey: "$connect": another route has that key`},
		{name: "no integration", old: "integrations/${ConnectIntegration}", new: "integrations/${Table}", want: `ConnectRoute.Properties.Target: "Table" is no integration of this template`},
		{name: "mock integration", old: "IntegrationType: AWS_PROXY", new: "IntegrationType: MOCK", want: `ConnectIntegration.Properties.IntegrationType: "MOCK": the local stack knows AWS_PROXY`},
		{name: "integration timeout", old: "TimeoutInMillis: 5000", new: "TimeoutInMillis: 29001", want: "ConnectIntegration.Properties.TimeoutInMillis: 29001 is not in 50..29000"},
		{name: "not a function", old: "IntegrationUri: !GetAtt PublishFunction.Arn", new: "IntegrationUri: !GetAtt Failed.Arn", want: "PublishIntegration.Properties.IntegrationUri: "},
		{name: "authorizer elsewhere", old: "RouteKey: $default\n", new: "RouteKey: $default\n      AuthorizationType: CUSTOM\n", want: "DefaultRoute.Properties.AuthorizationType: CUSTOM: only $connect can have an authorizer"},
		{name: "IAM", old: "AuthorizationType: CUSTOM", new: "AuthorizationType: AWS_IAM", want: `ConnectRoute.Properties.AuthorizationType: "AWS_IAM": the local stack knows NONE and CUSTOM`},
		{name: "no authorizer", old: "!Ref Auth\n", new: "!Ref Table\n", want: `ConnectRoute.Properties.AuthorizerId: "Table" is no authorizer of this template`},
		{name: "no stage", old: "Type: AWS::ApiGatewayV2::Stage", new: "Type: Custom::Other", want: "Api: has 0 stages: the local stack serves one"},
		{name: "no requests", old: "ThrottlingRateLimit: 0.5,", new: "ThrottlingRateLimit: 0,", want: "Live.Properties.RouteSettings.conversations:join: every request would be answered 429: give "},
		{name: "no burst", old: ", ThrottlingBurstLimit: 200}", new: "}", want: "Live.Properties.DefaultRouteSettings: every request would be answered 429: give "},
		{name: "no keys", old: "KeySchema:", new: "Keys:", want: "Table.Properties.KeySchema: is required"},
		{name: "index", old: "BillingMode: PAY_PER_REQUEST", new: "GlobalSecondaryIndexes: [{IndexName: a}]", want: "Table.Properties.GlobalSecondaryIndexes: the local stack has no indexes"},
		{name: "parameter value not allowed", o: Overrides{Parameters: map[string]string{"RouteKeys": "both"}}, want: `Parameters.RouteKeys: "both" is none of events, default`},
		{name: "parameter pattern", o: Overrides{Parameters: map[string]string{"Stage": "Live"}}, want: `Parameters.Stage: "Live" does not match [a-z]+`},
		{name: "parameter length", o: Overrides{Parameters: map[string]string{"Stage": "abcdefghi"}}, want: `Parameters.Stage: "abcdefghi" is longer than 8 characters`},
		{name: "parameter bound", o: Overrides{Parameters: map[string]string{"Rate": "1001"}}, want: `Parameters.Rate: "1001" is above 1000`},
		{name: "parameter lower bound", o: Overrides{Parameters: map[string]string{"Rate": "0"}}, want: `Parameters.Rate: "0" is below 1`},
		{name: "parameter no number", o: Overrides{Parameters: map[string]string{"Rate": "x"}}, want: `Parameters.Rate: "x" is not a number`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(base, tt.old) {
				t.Fatalf("base has no %q", tt.old)
			}
			path := write(t, strings.Replace(base, tt.old, tt.new, 1))
			s, err := Load(path, tt.o)
			if err == nil {
				t.Fatalf("no error: %+v", s)
			}
			if got := err.Error(); !strings.HasPrefix(got, path+": ") || !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("error\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLoadUnreadable(t *testing.T) {
	for name, source := range map[string]string{"empty": "", "scalar": "x", "list": "- a", "alias": "a: &x 1\nb: *x"} {
		t.Run(name, func(t *testing.T) {
			if _, err := Load(write(t, source), Overrides{}); err == nil {
				t.Error("no error")
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), Overrides{}); err == nil {
		t.Error("missing file: no error")
	}
}

func TestParseRate(t *testing.T) {
	tests := map[string]time.Duration{
		"rate(1 minute)": time.Minute, "rate(2 minutes)": 2 * time.Minute, "rate(1 hour)": time.Hour, "rate(7 days)": 168 * time.Hour,
		"rate(0 minutes)": 0, "rate(1 minutes)": 0, "rate(2 minute)": 0, "rate(1 second)": 0, "rate(-1 minute)": 0, "": 0,
		"rate(106751 days)": 106751 * 24 * time.Hour, "rate(106752 days)": 0, "rate(9223372036854775807 minutes)": 0,
	}
	for s, want := range tests {
		if got, err := parseRate(s); got != want || (err != nil) != (want == 0) {
			t.Errorf("parseRate(%q) = %v, %v", s, got, err)
		}
	}
}
