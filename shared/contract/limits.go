package contract

import (
	"strings"
	"time"
)

// Defaults of the document and of the settings that extend it.
const (
	MaxPayloadBytes       = 5 * 1024         // SOCKET_MAX_PAYLOAD_BYTES: a whole inbound message, UTF-8 bytes
	PresenceTTL           = 60 * time.Second // PRESENCE_TTL_SECONDS: at most so long between two verifications of a socket
	HeartbeatMin          = 10 * time.Second // PRESENCE_HEARTBEAT_MIN_SECONDS: one heartbeat write and broadcast per socket in that time
	PresenceGlobalMax     = 200              // PRESENCE_GLOBAL_MAX: connections up to which presence is global
	PresenceRPS           = 2000             // PRESENCE_RPS: posts a second of all presence together
	PingInterval          = 5 * time.Minute  // SOCKET_PING_INTERVAL_MS: between two pings of a Socket.IO client
	PingTimeout           = 2 * time.Minute  // SOCKET_PING_TIMEOUT_MS: a ping without a pong ends it after so long
	FanoutRPS             = 5000             // FANOUT_RPS: posts per second of one publish
	SocketsPerUserMax     = 32               // SOCKETS_PER_USER_MAX
	RoomsPerConnectionMax = 100              // ROOMS_PER_CONNECTION_MAX
	MaxEventBytes         = 128 * 1024       // an encoded event to a client: PostToConnection takes no more
	MaxPublishIDLength    = 256              // characters of a publish request's id
	MaxUsersPerRequest    = 1000             // users of one participants or groups request
	MaxPresenceUsers      = 100              // users of one presence.read request
	MaxReasonLength       = 1000             // characters of the reason, and of the message, of a sockets.disconnect request
	MaxDenySeconds        = 24 * 60 * 60     // longest denySeconds of a sockets.disconnect request
	MaxAudience           = 1000             // members of one list of to or except
	PublishIDTTL          = 24 * time.Hour   // how long a publish id is remembered
	MaxConnectionAge      = 2 * time.Hour    // API Gateway ends every connection then
	MaxMessageBytes       = 128 * 1024       // API Gateway's cap on an inbound message, and on SOCKET_MAX_PAYLOAD_BYTES
	MaxUserAgentBytes     = 128              // of a user agent that are kept
	MaxInstant            = 1<<53 - 1        // epoch milliseconds: the last whole number that is exact in JavaScript
)

// maxIDLength and idAlphabet are what IDShape says. No regular expression: compiling one would take a good part of a function's start.
const (
	maxIDLength = 128
	idAlphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:|@+=~-"
)

// IDPattern is ValidID as a regular expression, for those who validate elsewhere.
const IDPattern = `^[A-Za-z0-9_.:|@+=~-]{1,128}$`

// IDShape describes ValidID for error messages.
const IDShape = "1 to 128 characters of A-Z a-z 0-9 _ . : | @ + = ~ -"

// ValidID tells whether s can be the id of a user, conversation, group or connection. Ids end a table key, so # and /
// stay out; auth0|5f7c8ec7, eu-west-1:uuid and e-mail addresses pass.
func ValidID(s string) bool {
	return s != "" && len(s) <= maxIDLength && strings.Trim(s, idAlphabet) == ""
}
