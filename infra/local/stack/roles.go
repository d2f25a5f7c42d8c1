package stack

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/smithy-go"

	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
	"example.org/realtime/infra/local/template"
)

// guard refuses what the role of a function in the template does not allow of the embedded table, as AWS would. Whoever is no function of this
// stack may do everything.
func (s *Stack) guard(ctx context.Context, op table.Op) error {
	caller := lambda.Caller(ctx)
	i := slices.IndexFunc(s.template.Functions, func(f template.Function) bool { return f.Folder == caller })
	if i < 0 {
		return nil
	}
	partitions := make([]string, len(op.Keys))
	for i, key := range op.Keys {
		partitions[i] = key.Partition
	}
	f, action, resource := s.template.Functions[i], "dynamodb:"+op.Name, op.Table
	if op.Table == s.TableName {
		resource = s.template.Tables[0].ARN // whose name it has in the template
	}
	if f.Allows(action, resource, partitions) {
		return nil
	}
	refused := fmt.Sprintf("the role of %s in template.yaml does not allow %s on %q: add it to Policies", f.LogicalID, action, partitions)
	s.log.ErrorContext(ctx, "refused as AWS would", "function", caller, "error", refused)
	s.refusedMu.Lock()
	if !slices.Contains(s.refused, refused) {
		s.refused = append(s.refused, refused)
	}
	s.refusedMu.Unlock()
	return &smithy.GenericAPIError{Code: "AccessDeniedException", Message: fmt.Sprintf(
		"User: arn:aws:sts::%s:assumed-role/%s/%s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %[4]s action",
		account, f.LogicalID, f.Name, action, resource)}
}

// Refused is what the roles of the template did not allow, in words, since the last time this was asked.
func (s *Stack) Refused() []string {
	s.refusedMu.Lock()
	defer s.refusedMu.Unlock()
	refused := s.refused
	s.refused = nil
	return refused
}
