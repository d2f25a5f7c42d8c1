package template

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// table reads what a table's requests depend on: name, keys, billing, TTL. Backups, streams, encryption and tags are not.
func (r *resolver) table(id string) Table {
	n := r.resource(id).get("Properties")
	create := &dynamodb.CreateTableInput{TableName: new(r.tableName(id)), BillingMode: types.BillingModeProvisioned}
	if mode := n.get("BillingMode").str(); mode != "" {
		create.BillingMode = types.BillingMode(mode)
	}
	for _, a := range n.get("AttributeDefinitions").list() {
		create.AttributeDefinitions = append(create.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: new(a.get("AttributeName").required()),
			AttributeType: types.ScalarAttributeType(a.get("AttributeType").required()),
		})
	}
	for _, k := range n.get("KeySchema").list() {
		create.KeySchema = append(create.KeySchema, types.KeySchemaElement{
			AttributeName: new(k.get("AttributeName").required()),
			KeyType:       types.KeyType(k.get("KeyType").required()),
		})
	}
	if len(create.KeySchema) == 0 {
		n.get("KeySchema").fail("is required")
	}
	if create.BillingMode == types.BillingModeProvisioned {
		throughput := n.get("ProvisionedThroughput")
		create.ProvisionedThroughput = &types.ProvisionedThroughput{
			ReadCapacityUnits:  new(int64(throughput.get("ReadCapacityUnits").integer(0))),
			WriteCapacityUnits: new(int64(throughput.get("WriteCapacityUnits").integer(0))),
		}
	}
	for _, key := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		if n.get(key).value() != nil {
			n.get(key).fail("the local stack has no indexes")
		}
	}
	t := Table{LogicalID: id, ARN: r.tableARN(id), Create: create}
	if ttl := n.get("TimeToLiveSpecification"); ttl.get("Enabled").boolean(false) {
		t.TTLAttribute = ttl.get("AttributeName").required()
	}
	return t
}

func (r *resolver) tableARN(id string) string { return r.arn("dynamodb", "table/"+r.tableName(id)) }

func (r *resolver) tableName(id string) string {
	if name := r.property(id, "TableName").str(); name != "" {
		return name
	}
	return id
}
