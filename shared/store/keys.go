package store

import (
	"strconv"
	"strings"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// Attributes that the table is created with: two strings and the TTL, in epoch seconds.
const (
	PartitionKey = "pk"
	SortKey      = "sk"
	TTL          = "exp"
)

// The keys of every kind of item. Ids match contract.ValidID, so that # ends none of them; a publish id is anything.
//
//	CONN     ns#/ws/app#<shard>                  <connection>
//	USER     user:<user>                         #
//	ROOM     conversation:<id>, group:<id>       c#<shard>#<connection>
//	PART     conversation:<id>                   m#<user>
//	PUBLISH  pub#<publish>                       #
//	WORKER   pub#<publish>                       w#<part>
//	SWEEP    sweep#/ws/app                       #
//	BUDGET   presence#<second>                   #
//
// The shard is one hexadecimal digit of the connection's id, so that the key needs no lookup. It stands in the sort key
// of a ROOM as well: a large room can be read in 16 ranges, into which the ids alone, which begin with a time, do not
// divide evenly.
const (
	connectionPrefix  = "ns#" + contract.Namespace + "#"
	roomPrefix        = "c#"
	participantPrefix = "m#"
	publishPrefix     = "pub#"
	partPrefix        = "w#"
	sweepPartition    = "sweep#" + contract.Namespace
	budgetPrefix      = "presence#" // and the second, Unix time
	alone             = "#"         // sort key of an item that has its partition for itself
	socketPrefix      = "s#"        // and the connection: a socket's attribute in its USER
)

type key struct{ pk, sk string }

func (k key) item() item { return item{PartitionKey: text(k.pk), SortKey: text(k.sk)} }

// String is the key as errors name it.
func (k key) String() string { return strings.TrimSuffix(k.pk+" "+k.sk, " ") }

// digit is a shard as keys and attributes have it: in hexadecimal.
func digit(shard int) string { return strconv.FormatInt(int64(shard), 16) }

func shardKey(shard int) key { return key{pk: connectionPrefix + digit(shard)} }

func connectionKey(connection string) key {
	k := shardKey(realtime.Shard(connection))
	k.sk = connection
	return k
}

func userKey(user string) key { return key{contract.UserRoom(user), alone} }

func roomKey(room, connection string) key {
	return key{room, roomShard(realtime.Shard(connection)) + connection}
}

// roomShard is the part of a room's sort keys that a shard has.
func roomShard(shard int) string { return roomPrefix + digit(shard) + "#" }

// roomConnection is the connection in a ROOM's sort key.
func roomConnection(sk string) string { return sk[strings.LastIndexByte(sk, '#')+1:] }

func participantKey(conversation, user string) key {
	return key{contract.ConversationRoom(conversation), participantPrefix + user}
}

func publishKey(publish string) key { return key{publishPrefix + publish, alone} }

func partKey(p realtime.PartKey) key {
	return key{publishPrefix + p.ID, partPrefix + strconv.Itoa(p.Part)}
}

func sweepKey() key { return key{sweepPartition, alone} }
