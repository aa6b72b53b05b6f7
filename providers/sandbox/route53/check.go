package route53

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// types are the record types that Route 53 takes and the sandbox keeps.
var types = []string{"SOA", "A", "TXT", "NS", "CNAME", "MX", "PTR", "SRV", "SPF", "AAAA", "CAA"}

var (
	quotedRE     = pattern.Lazy(`^"([^"\\]|\\.){0,255}"( +"([^"\\]|\\.){0,255}")*$`)
	quotedPartRE = pattern.Lazy(`"([^"\\]|\\.)*"`)
)

// checkValue is what Route 53 says of a value that its type cannot have, "" if it can.
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html
func checkValue(kind, value string) string {
	fields := strings.Fields(value)
	isName := func(s string) bool { _, ok := fqdn(s); return ok }
	number := func(s string, most int) bool {
		n, err := strconv.Atoi(s)
		return err == nil && n >= 0 && n <= most
	}
	switch kind {
	case "A":
		ip, err := netip.ParseAddr(value)
		switch {
		case len(fields) > 1:
			return "ARRDATANotSingleField (Value contains spaces)"
		case err != nil || !ip.Is4():
			return "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"
		}
	case "AAAA":
		ip, err := netip.ParseAddr(value)
		switch {
		case len(fields) > 1:
			return "AAAARRDATANotSingleField (Value contains spaces)"
		case err != nil || !ip.Is6() || ip.Zone() != "":
			return "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"
		}
	case "CNAME", "NS", "PTR":
		switch {
		case len(fields) != 1:
			return kind + "RRDATANotSingleField (Value contains spaces)"
		case !isName(value):
			return "DomainNameInvalid (Value is not a valid domain name)"
		}
	case "TXT", "SPF":
		if !quotedRE().MatchString(value) {
			return "InvalidCharacterString (Value should be enclosed in quotation marks)"
		}
	case "MX":
		if len(fields) != 2 || !number(fields[0], 65535) || !isName(fields[1]) {
			return "MXRRDATANotTwoFields (MX record doesn't have 2 fields)"
		}
	case "SRV":
		if len(fields) != 4 || !number(fields[0], 65535) || !number(fields[1], 65535) || !number(fields[2], 65535) || !isName(fields[3]) {
			return "SRVRRDATANotFourFields (SRV record doesn't have 4 fields)"
		}
	case "CAA":
		if len(fields) != 3 || !number(fields[0], 255) || !quotedRE().MatchString(fields[2]) {
			return "CAARRDATANotThreeFields (CAA record doesn't have 3 fields)"
		}
	case "SOA":
		if len(fields) != 7 {
			return "SOARRDATANotSevenFields (SOA record doesn't have 7 fields)"
		}
		for i, field := range fields {
			if i < 2 && !isName(field) || i >= 2 && !number(field, maxTTL) {
				return "SOARRDATAIllegalField (Value is not valid)"
			}
		}
	}
	return ""
}
