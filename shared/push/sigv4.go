package push

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Signature Version 4 of a post, as https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// has it. The SDK's signer, which takes any request, spends several times as long: it sorts headers, hoists, copies and derives.
// botocore's signer is what this one is held against (infra/tools/signatures.py).
const (
	signingAlgorithm = "AWS4-HMAC-SHA256"
	signingName      = "execute-api"
	signingTime      = "20060102T150405Z"
)

// unreserved are the characters besides letters and digits that AWS has unescaped in a path.
const unreserved = "-._~"

// signer signs posts to one host in one region. It may be used concurrently.
type signer struct {
	host   string // as in the Host header: without the scheme's own port
	region string
	last   atomic.Pointer[signingKey]
}

// signingKey is what one set of credentials signs with on one day.
type signingKey struct {
	accessKeyID, secret string
	day                 int64 // since 1970, UTC
	scope               string
	desks               sync.Pool // of *desk
}

// desk is where one signature after another is made.
type desk struct {
	mac    hash.Hash // keyed
	text   []byte
	second int64  // epoch
	date   string // of that second
	body   []byte // the last one: an event goes to one socket after another
	hashed [sha256.Size]byte
	sum    [sha256.Size]byte // the last signature
}

// sign returns the X-Amz-Date and Authorization headers of a POST of body to path, which is escaped as it is sent. Signed are
// the headers that have to be: Host, X-Amz-Date, and X-Amz-Security-Token where the credentials have one.
func (s *signer) sign(path string, body []byte, credentials aws.Credentials, at time.Time) (date, authorization string) {
	key := s.key(credentials, at)
	d := key.desks.Get().(*desk)
	defer key.desks.Put(d)
	if second := at.Unix(); d.second != second || d.date == "" {
		d.second, d.date = second, at.UTC().Format(signingTime)
	}
	date = d.date
	if len(d.body) == 0 || !bytes.Equal(d.body, body) {
		d.body, d.hashed = append(d.body[:0], body...), sha256.Sum256(body)
	}

	b := append(d.text[:0], "POST\n"...)
	b = appendEscaped(b, path, unreserved+"/") // a second time: only S3 has it once
	b = append(b, "\n\nhost:"...)
	b = append(b, s.host...)
	b = append(b, "\nx-amz-date:"...)
	b = append(b, date...)
	names := "host;x-amz-date"
	if credentials.SessionToken != "" {
		b = append(b, "\nx-amz-security-token:"...)
		b = append(b, credentials.SessionToken...)
		names = "host;x-amz-date;x-amz-security-token"
	}
	b = append(b, "\n\n"...)
	b = append(b, names...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, d.hashed[:])
	requestHash := sha256.Sum256(b)

	b = append(b[:0], signingAlgorithm+"\n"...)
	b = append(b, date...)
	b = append(b, '\n')
	b = append(b, key.scope...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, requestHash[:])
	d.mac.Reset()
	d.mac.Write(b)
	signature := d.mac.Sum(d.sum[:0])

	b = append(b[:0], signingAlgorithm+" Credential="...)
	b = append(b, credentials.AccessKeyID...)
	b = append(b, '/')
	b = append(b, key.scope...)
	b = append(b, ", SignedHeaders="...)
	b = append(b, names...)
	b = append(b, ", Signature="...)
	b = hex.AppendEncode(b, signature)
	d.text = b
	return date, string(b)
}

// key is derived once for credentials and a day, and again when either changes.
func (s *signer) key(credentials aws.Credentials, at time.Time) *signingKey {
	day := at.Unix() / (24 * 60 * 60)
	k := s.last.Load()
	if k != nil && k.day == day && k.accessKeyID == credentials.AccessKeyID && k.secret == credentials.SecretAccessKey {
		return k
	}
	k = &signingKey{
		accessKeyID: credentials.AccessKeyID,
		secret:      credentials.SecretAccessKey,
		day:         day,
		scope:       at.UTC().Format("20060102") + "/" + s.region + "/" + signingName + "/aws4_request",
	}
	secret := []byte("AWS4" + k.secret)
	for part := range strings.SplitSeq(k.scope, "/") {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(part))
		secret = mac.Sum(nil)
	}
	k.desks.New = func() any { return &desk{mac: hmac.New(sha256.New, secret)} }
	s.last.Store(k)
	return k
}

// appendEscaped appends s with every byte percent-encoded that is neither a letter nor a digit nor one of plain.
func appendEscaped(b []byte, s, plain string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}
