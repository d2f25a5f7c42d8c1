package table

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// compare is the difference between the answers, or the reason why it is tolerated.
func (x exchange) compare() (difference, reason string) {
	for _, d := range deviations {
		if d.applies(x) {
			return "", d.reason
		}
	}
	if x.ourStatus != x.theirStatus {
		return fmt.Sprintf("status %d, want %d", x.ourStatus, x.theirStatus), ""
	}
	if x.ourStatus != http.StatusOK && x.ours["__type"] == x.theirs["__type"] && sameMessage(x.message()) {
		x.ours["message"], x.theirs["message"] = nil, nil
		delete(x.theirs, "Message")
	}
	return x.diff(x.theirs, x.ours), ""
}

// diff compares in normal form. The items of a Query come in order; those of a Scan or a batch do not.
func (x exchange) diff(theirs, ours any) string {
	unordered := []string{"SS", "NS", "BS", "ConsumedCapacity", "differential"}
	if x.operation != "Query" {
		unordered = append(unordered, "Items")
	}
	return cmp.Diff(normal("", theirs, unordered), normal("", ours, unordered))
}

func (x exchange) message() (ours, theirs string) {
	ours, _ = x.ours["message"].(string)
	theirs, _ = x.theirs["Message"].(string)
	return ours, theirs
}

// wordings are messages in which this package follows AWS, or says more, where DynamoDB Local has words of its own.
var wordings = []struct{ theirs, ours *regexp.Regexp }{
	{
		regexp.MustCompile(`^One of the required keys was not given a value$|^The number of conditions on the keys is invalid$|^One or more parameter values were invalid: Type mismatch for key$|^Invalid attribute value type$`),
		regexp.MustCompile(`^The provided key element does not match the schema$|^One or more parameter values were invalid: (Missing the key \w+ in the item|Type mismatch for key \w+ expected: \w+ actual: \w+)$`),
	},
	{regexp.MustCompile(`^Query condition missed key schema element$`), regexp.MustCompile(`^Query condition missed key schema element: (pk|sk)$`)},
	{regexp.MustCompile(`A value provided cannot be converted into a number`), regexp.MustCompile(`The parameter cannot be converted to a numeric value`)},
	{regexp.MustCompile(`DynamoDB only supports precision up to 38 digits`), regexp.MustCompile(`Attempting to store more than 38 significant digits in a Number|^Number overflow`)},
	{regexp.MustCompile(`Input collection \[a, a\] contains duplicates`), regexp.MustCompile(`Input collection \[a, a\] contains duplicates\.`)},
	{regexp.MustCompile(`^Limit must be greater than or equal to 1$`), regexp.MustCompile(`^1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1$`)},
	{regexp.MustCompile(`operand type: \{FS,S,NULL,`), regexp.MustCompile(`operand type: a document path$`)},
	{regexp.MustCompile(`Invalid attribute type name found; type: x, valid types:`), regexp.MustCompile(`Invalid attribute type name found; type: x, valid types:`)},
	{
		regexp.MustCompile(`^Exclusive Start Key must have same size as table's key schema$|^Type mismatch for attribute to update$|^The provided starting key is invalid$`),
		regexp.MustCompile(`^The provided starting key is invalid: The provided key element does not match the schema$`),
	},
	{regexp.MustCompile(`^The provided starting key does not match the range key predicate$`), regexp.MustCompile(`^The provided starting key is outside query boundaries based on provided conditions$`)},
	// Of several pairs of paths that overlap or conflict it names others.
	{regexp.MustCompile(`Two document paths (overlap|conflict) with each other`), regexp.MustCompile(`Two document paths (overlap|conflict) with each other`)},
	{regexp.MustCompile(`Two document paths (overlap|conflict) with each other`), regexp.MustCompile(`An expression attribute name used in the document path is not defined`)},
	// Of a text that is broken in more than one place it names another. TestConditionErrors and TestUpdateErrors hold the words of single mistakes.
	{regexp.MustCompile(`: Syntax error; token: "|The expression has redundant parentheses;`), regexp.MustCompile(`The expression has redundant parentheses;`)},
	{regexp.MustCompile(`: Syntax error; token: "<EOF>"|The expression has redundant parentheses;`), regexp.MustCompile(`: Syntax error; token: "`)},
	// Of several values that are wrong it names another.
	{regexp.MustCompile(`^ExpressionAttributeValues contains invalid`), regexp.MustCompile(`^ExpressionAttributeValues contains invalid`)},
	{regexp.MustCompile(`An expression attribute value used in expression is not defined`), typesInUpdates},
	{regexp.MustCompile(`^The query can return at most one row and cannot be restarted. The provided starting key is invalid`), regexp.MustCompile(`^The provided starting key is invalid`)},
	// Of several operands that do not fit the item it names another.
	{operandsOfUpdates, operandsOfUpdates},
	{typesInUpdates, typesInUpdates},
	// Of a wrong key and a wrong expression it names the other.
	{regexp.MustCompile(`^Invalid ProjectionExpression|^Value provided in`), wrongKeys},
	{regexp.MustCompile(`^Value provided in ExpressionAttributeNames unused in`), regexp.MustCompile(`^Value provided in ExpressionAttributeNames unused in`)},
	{regexp.MustCompile(`^Value provided in ExpressionAttributeValues unused in`), regexp.MustCompile(`^Value provided in ExpressionAttributeValues unused in`)},
	// It shows numbers as they were sent.
	{regexp.MustCompile(`The BETWEEN operator requires (same|upper)`), regexp.MustCompile(`The BETWEEN operator requires (same|upper)`)},
}

var operandsOfUpdates = regexp.MustCompile(`^(The provided expression refers to an attribute that does not exist in the item|An operand in the update expression has an incorrect data type|The document path provided in the update expression is invalid for update|Number overflow.*|Number underflow.*|DynamoDB only supports precision.*)$`)

var (
	typesInUpdates = regexp.MustCompile(`^Invalid UpdateExpression: (Incorrect operand type for operator or function|Operator or function requires a document path|Incorrect number of operands)`)
	wrongKeys      = regexp.MustCompile(`^(Provided list of item keys contains duplicates|One or more parameter values are not valid.*|The provided key element does not match the schema|The number of conditions on the keys is invalid|One or more parameter values were invalid: (Type mismatch|Missing the key).*|One of the required keys was not given a value)$`)
)

func sameMessage(ours, theirs string) bool {
	return ours == theirs || slices.ContainsFunc(wordings, func(w struct{ theirs, ours *regexp.Regexp }) bool {
		return w.theirs.MatchString(theirs) && w.ours.MatchString(ours)
	})
}

// deviations are where DynamoDB Local is known not to do as AWS does.
var deviations = []struct {
	reason  string
	applies func(exchange) bool
}{
	{"an update of a missing item by REMOVE or DELETE alone creates it there; on AWS it does nothing", func(x exchange) bool {
		expression, _ := x.request["UpdateExpression"].(string)
		return x.operation == "UpdateItem" && x.ourStatus == http.StatusOK && expression != "" && !regexp.MustCompile(`(?i)\b(set|add)\b`).MatchString(expression) &&
			(x.theirStatus != x.ourStatus || x.diff(x.theirs, x.ours) != "" || x.ours["Attributes"] == nil) && !nestedReturn(x)
	}},
	{"UPDATED_OLD and UPDATED_NEW return whole lists and maps there; on AWS only the updated part", nestedReturn},
	{"a read of nothing is free there, in a batch or a Query; on AWS it costs as much as a small item", func(x exchange) bool {
		_, reports := x.ours["ConsumedCapacity"]
		return reports && (x.operation == "BatchGetItem" || (x.ours["ScannedCount"] == 0.0 && x.theirs["ScannedCount"] == 0.0)) && sameBut(x, "ConsumedCapacity")
	}},
	{"a delete of nothing reports its capacity there, asked or not", func(x exchange) bool {
		return x.operation == "DeleteItem" && x.ours["ConsumedCapacity"] == nil && sameBut(x, "ConsumedCapacity")
	}},
	{"a delete of nothing in a batch costs 2 there; on AWS 1, as alone", func(x exchange) bool {
		return x.operation == "BatchWriteItem" && x.ours["ConsumedCapacity"] != nil && sameBut(x, "ConsumedCapacity")
	}},
	{"a key attribute in an update is found there after the condition; here before, as a mistake of the request", func(x exchange) bool {
		ours, _ := x.message()
		return strings.Contains(ours, "This attribute is part of the key") && x.theirs["__type"] == typeConditionalFailed
	}},
	{"UPDATED_OLD and UPDATED_NEW without an update are an internal error there", func(x exchange) bool {
		return x.operation == "UpdateItem" && x.request["UpdateExpression"] == nil && x.theirStatus == http.StatusInternalServerError
	}},
	{"of several mistakes in a batch it names another", func(x exchange) bool {
		return strings.HasPrefix(x.operation, "Batch") && x.ours["__type"] == typeValidation && x.theirs["__type"] == typeValidation
	}},
	{"a page whose limit ends it at the far end of its range is the last there", func(x exchange) bool {
		return x.operation == "Query" && x.ours["LastEvaluatedKey"] != nil && x.theirs["LastEvaluatedKey"] == nil && fmt.Sprint(x.ours["ScannedCount"]) == fmt.Sprint(x.request["Limit"]) && sameBut(x, "LastEvaluatedKey")
	}},
	{"a Query that starts at the far end of its range is refused there, though its own LastEvaluatedKey may be that", func(x exchange) bool {
		ours, theirs := x.message()
		goesOn := x.ourStatus == http.StatusOK && x.ours["ScannedCount"] == 0.0 || strings.Contains(ours, "ProjectionExpression when choosing")
		return x.operation == "Query" && goesOn && strings.HasSuffix(theirs, "does not match the range key predicate")
	}},
	{"SIZE and CONVERT are reserved words in AWS's documentation, not there", func(x exchange) bool {
		ours, _ := x.message()
		return regexp.MustCompile(`(?i)reserved keyword: (size|convert)$`).MatchString(ours)
	}},
}

// nestedReturn tells answers that differ only in how much of an updated list or map they hold.
func nestedReturn(x exchange) bool {
	returned, _ := x.request["ReturnValues"].(string)
	ours, _ := x.ours["Attributes"].(object)
	theirs, _ := x.theirs["Attributes"].(object)
	if !strings.HasPrefix(returned, "UPDATED_") || x.ourStatus != http.StatusOK || x.theirStatus != http.StatusOK || len(ours) != len(theirs) {
		return false
	}
	differ := false
	for name, mine := range ours {
		whole, found := theirs[name]
		if !found {
			return false
		}
		if x.diff(mine, whole) == "" {
			continue
		}
		m, isDocument := mine.(object)
		if !isDocument || (m["L"] == nil && m["M"] == nil) {
			return false
		}
		differ = true
	}
	return differ && sameBut(x, "Attributes")
}

// sameBut tells answers that differ in one member alone.
func sameBut(x exchange, member string) bool {
	without := func(o object) object {
		rest := object{}
		for k, v := range o {
			if k != member {
				rest[k] = v
			}
		}
		return rest
	}
	return x.ourStatus == x.theirStatus && x.diff(without(x.theirs), without(x.ours)) == ""
}

// normal brings what has more than one form into one: numbers, and lists under the names of what has no order.
func normal(name string, v any, unordered []string) any {
	switch v := v.(type) {
	case string:
		if name == "N" {
			if n, err := parseNumber(v); err == nil {
				return n.String()
			}
		}
		return v
	case object:
		o := object{}
		for k, e := range v {
			o[k] = normal(k, e, unordered)
		}
		return o
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = normal(strings.TrimSuffix(name, "S"), e, unordered)
		}
		if slices.Contains(unordered, name) {
			slices.SortFunc(l, func(a, b any) int { return strings.Compare(encoded(a), encoded(b)) })
		}
		return l
	}
	return v
}

func encoded(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
