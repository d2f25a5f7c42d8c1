package contract

import (
	"errors"
	"fmt"
)

// Code tells a client what went wrong. The list below is closed: no other code reaches a client.
type Code string

// The first two are the contract's; it leaves the list open, and the others are this server's.
const (
	Unauthorized       Code = "socket_error:unauthorized"         // missing or invalid authentication token
	TokenExpired       Code = "socket_error:token_expired"        // token verified, but expired
	BadRequest         Code = "socket_error:bad_request"          // not the documented shape
	UnknownEvent       Code = "socket_error:unknown_event"        // not an event that clients send
	PayloadTooLarge    Code = "socket_error:payload_too_large"    // above SOCKET_MAX_PAYLOAD_BYTES; the connection is closed
	Forbidden          Code = "socket_error:forbidden"            // not a participant of the conversation, or kept out for a while by the backend
	TooManyConnections Code = "socket_error:too_many_connections" // the user has SOCKETS_PER_USER_MAX sockets; the connection is closed
	TooManyRooms       Code = "socket_error:too_many_rooms"       // the connection is in ROOMS_PER_CONNECTION_MAX rooms
	Internal           Code = "socket_error:internal"             // the service failed, only its log says how: try again
)

// Error is a refusal that a client is told about.
type Error struct {
	Code    Code
	Message string // for people; never has a token, a payload or an internal detail
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// ErrorOf is what a client is told of err: an Error as it is, anything else as Internal without details.
func ErrorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Internal, Message: "internal error, please try again"}
}

// ValidationError refuses a backend's request before anything was done. Lambda reports the type's name to the caller,
// so it is returned unwrapped.
type ValidationError struct {
	Field   string // path into the request: data.recipients[2]
	Message string
}

// Error implements error: the field first, then what is wrong with it.
func (e *ValidationError) Error() string { return e.Field + ": " + e.Message }

func invalid(field, format string, args ...any) error {
	return &ValidationError{Field: field, Message: fmt.Sprintf(format, args...)}
}

// PublishInProgress answers a publish whose id another invocation is still working on. The caller tries again.
type PublishInProgress struct {
	ID string
}

// Error implements error.
func (e *PublishInProgress) Error() string {
	return "id: a publish with this id is still in progress, try again in a few seconds"
}
