package template

import (
	"strings"
	"testing"
)

const tableARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Table"

// withPolicies is base whose first function has these policies.
func withPolicies(properties string) string {
	return strings.Replace(base, "      Timeout: 5\n", "      Timeout: 5\n      "+properties+"\n", 1)
}

func TestRole(t *testing.T) {
	const get, put = "dynamodb:GetItem", "dynamodb:PutItem"
	const user = `{Effect: Allow, Action: ['dynamodb:GetItem', 'dynamodb:Batch*'], Resource: !GetAtt Table.Arn, ` +
		`Condition: {'ForAllValues:StringLike': {'dynamodb:LeadingKeys': ['user:*', 'u?']}}}`
	type ask struct {
		action, table string
		partitions    []string
	}
	for _, tt := range []struct {
		name, properties string
		yes, no          []ask
	}{
		{name: "no policies", properties: "Description: x", no: []ask{{get, tableARN, []string{"a"}}}},
		{
			name: "leading keys", properties: "Policies: [{Statement: [" + user + "]}]",
			yes: []ask{
				{get, tableARN, []string{"user:"}},
				{get, tableARN, []string{"user:a*/[b]"}},
				{"dynamodb:BatchGetItem", tableARN, []string{"user:alice", "u1"}},
			},
			no: []ask{
				{get, tableARN, []string{"user"}},
				{get, tableARN, []string{"u"}},
				{get, tableARN, []string{"a user:a"}},
				{"dynamodb:BatchGetItem", tableARN, []string{"user:alice", "ns#"}},
				{put, tableARN, []string{"user:alice"}},
				{get, tableARN + "2", []string{"user:alice"}},
			},
		},
		{
			name:       "statements by themselves, each for its own",
			properties: "Policies: {Statement: [" + user + ", {Effect: Allow, Action: 'dynamodb:PutItem', Resource: '*'}]}",
			yes:        []ask{{get, tableARN, []string{"user:alice"}}, {put, "any", []string{"any"}}, {put, tableARN, nil}},
			no:         []ask{{get, tableARN, []string{"any"}}, {"dynamodb:Scan", tableARN, nil}},
		},
		{
			name: "what is of other services is not resolved",
			properties: "Policies: [{Statement: {Effect: Deny, Action: ['sqs:SendMessage', 'lambda:*'], Resource: !GetAtt Nothing.Arn}}, " +
				"!If [NotEvents, {Statement: {Effect: Allow, Action: '*', Resource: '*'}}, !Ref AWS::NoValue]]",
			no: []ask{{get, tableARN, []string{"a"}}},
		},
		{name: "everything", properties: "Policies: {Statement: {Effect: Allow, Action: '*', Resource: '*'}}", yes: []ask{{put, tableARN, []string{"a"}}}},
		{name: "a policy that is not here", properties: "Policies: AmazonDynamoDBFullAccess", yes: []ask{{put, tableARN, []string{"a"}}}},
		{name: "a policy template", properties: "Policies: [DynamoDBCrudPolicy: {TableName: !Ref Table}]", yes: []ask{{put, tableARN, []string{"a"}}}},
		{name: "a role that is not here", properties: "Role: !GetAtt Role.Arn", yes: []ask{{put, tableARN, []string{"a"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := load(t, withPolicies(tt.properties), Overrides{}).Functions[0]
			for want, asks := range map[bool][]ask{true: tt.yes, false: tt.no} {
				for _, a := range asks {
					if got := f.Allows(a.action, a.table, a.partitions); got != want {
						t.Errorf("%+v: %t", a, got)
					}
				}
			}
		})
	}
}

func TestRoleErrors(t *testing.T) {
	for properties, want := range map[string]string{
		"Policies: [{Statement: [{Effect: Deny, Action: 'dynamodb:*', Resource: '*'}]}]": "ConnectFunction.Properties.Policies[0].Statement[0]: the effect Deny is not read by the local stack",
		"Policies: {Statement: {Action: 'dynamodb:*', Resource: '*'}}":                   "ConnectFunction.Properties.Policies.Statement.Effect: is required",
		"Policies: {Statement: {Effect: Allow, Action: 'dynamodb:*', Resource: '*', Condition: {StringLike: {'dynamodb:LeadingKeys': [a]}}}}": "Statement: of the conditions on a table the local stack reads " +
			"dynamodb:LeadingKeys with ForAllValues:StringLike, alone",
		"Policies: {Statement: {Effect: Allow, Action: 'dynamodb:*', Resource: !GetAtt Nothing.Arn}}": "Policies.Statement.Resource: GetAtt Nothing.Arn: ",
	} {
		if _, err := Load(write(t, withPolicies(properties)), Overrides{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", properties, err, want)
		}
	}
}
