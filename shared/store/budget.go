package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"example.org/realtime/shared/realtime"
)

// Budget has an item for each second in which many presences are told: realtime.Budget.
type Budget struct{ *table }

// budgetAge is how long after its second TTL may take an item.
const budgetAge = 5 * time.Minute

// Take implements realtime.Budget. What the SDK sends again counts twice, and the second is full a little sooner.
func (s *Budget) Take(ctx context.Context, second time.Time, posts, limit int) error {
	if posts > limit {
		return realtime.ErrFull
	}
	_, err := s.update(ctx, "take posts", budgetKey(second), &dynamodb.UpdateItemInput{
		UpdateExpression:    new("SET #exp = :exp ADD #used :posts"),
		ConditionExpression: new("attribute_not_exists(#used) OR #used <= :room"),
		ExpressionAttributeValues: values{
			":posts": number(posts),
			":room":  number(limit - posts),
			":exp":   number(second.Add(budgetAge).Unix()),
		},
	})
	if errors.Is(err, errCondition) {
		return realtime.ErrFull
	}
	return err
}

func budgetKey(second time.Time) key {
	return key{budgetPrefix + strconv.FormatInt(second.Unix(), 10), alone}
}
