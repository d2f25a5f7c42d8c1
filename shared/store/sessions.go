package store

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"example.org/realtime/shared/realtime"
)

// The writes below are realtime.Sessions: what CONN rows know of Socket.IO clients.

// Open implements realtime.Sessions.
func (s *Connections) Open(ctx context.Context, id string) error {
	there, err := s.update(ctx, "open connection", connectionKey(id), &dynamodb.UpdateItemInput{
		UpdateExpression:          new("SET #opened = :one"),
		ConditionExpression:       new("attribute_exists(#pk) AND attribute_not_exists(#opened) AND attribute_not_exists(#gone)"),
		ExpressionAttributeValues: values{":one": number(1)},
	})
	switch {
	case errors.Is(err, errCondition) && there["opened"] != nil:
		return realtime.ErrExists
	case errors.Is(err, errCondition):
		return realtime.ErrGone
	}
	return err
}

// Enter implements realtime.Sessions.
func (s *Connections) Enter(ctx context.Context, id, user string, tokenExpiry, at time.Time) error {
	set := "SET #user = :user, #entered = :at"
	v := values{":user": text(user), ":at": number(millis(at))}
	if !tokenExpiry.IsZero() {
		set += ", #tokenExpiry = :expiry"
		v[":expiry"] = number(tokenExpiry.Unix())
	}
	there, err := s.update(ctx, "enter namespace", connectionKey(id), &dynamodb.UpdateItemInput{
		UpdateExpression: new(set + " REMOVE #idle"),
		ConditionExpression: new("attribute_exists(#pk) AND attribute_not_exists(#user) AND attribute_not_exists(#gone)" +
			" AND (attribute_not_exists(#was) OR #was = :user)"),
		ExpressionAttributeValues: v,
	})
	switch {
	case errors.Is(err, errCondition) && (there == nil || there["gone"] != nil):
		return realtime.ErrGone
	case errors.Is(err, errCondition):
		return realtime.ErrExists
	}
	return err
}

// Exit implements realtime.Sessions.
func (s *Connections) Exit(ctx context.Context, c realtime.Connection, at time.Time) error {
	same, v := unchanged(c)
	v[":at"] = number(millis(at))
	there, err := s.update(ctx, "exit namespace", connectionKey(c.ID), &dynamodb.UpdateItemInput{
		UpdateExpression:          new("SET #idle = :at, #was = :user REMOVE #user, #rooms, #tokenExpiry, #entered"),
		ConditionExpression:       new("attribute_exists(#pk) AND attribute_not_exists(#gone) AND " + same),
		ExpressionAttributeValues: v,
	})
	switch {
	case errors.Is(err, errCondition) && (there == nil || there["gone"] != nil):
		return realtime.ErrGone
	case errors.Is(err, errCondition):
		return realtime.ErrChanged
	}
	return err
}

// Pong implements realtime.Sessions.
func (s *Connections) Pong(ctx context.Context, id string, at time.Time) error {
	_, err := s.update(ctx, "record pong", connectionKey(id), &dynamodb.UpdateItemInput{
		UpdateExpression:          new("SET #pong = :at"),
		ConditionExpression:       new("attribute_exists(#pk) AND attribute_not_exists(#gone)"),
		ExpressionAttributeValues: values{":at": number(millis(at))},
	})
	if errors.Is(err, errCondition) {
		return realtime.ErrGone
	}
	return err
}
