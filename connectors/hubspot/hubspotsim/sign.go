package hubspotsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// signatureV1 is in hexadecimal digits. HubSpot: request validation.
func signatureV1(secret string, body []byte) string {
	sum := sha256.Sum256(append([]byte(secret), body...))
	return hex.EncodeToString(sum[:])
}

// signatureV3 is over the target URL as it is configured, but for what is
// unescaped before. HubSpot: request validation.
func signatureV3(secret, method, url string, body []byte, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(method + unescaped.Replace(url) + string(body) + timestamp))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

var unescaped = strings.NewReplacer("%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'",
	"%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";")
