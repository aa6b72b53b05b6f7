package apimodel

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/aws/smithy-go/encoding/cbor"
)

// readCBOR decodes a body to what readJSON would have made of the same input.
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
func readCBOR(body []byte) (any, error) {
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return nil, err
	}
	return fromCBOR(v)
}

func fromCBOR(v cbor.Value) (any, error) {
	switch v := v.(type) {
	case cbor.Map:
		members := map[string]any{}
		for name, member := range v {
			var err error
			if members[name], err = fromCBOR(member); err != nil {
				return nil, err
			}
		}
		return members, nil
	case cbor.List:
		list := []any{}
		for _, element := range v {
			e, err := fromCBOR(element)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return list, nil
	case *cbor.Tag: // a timestamp's seconds
		return fromCBOR(v.Value)
	case cbor.String:
		return string(v), nil
	case cbor.Slice:
		return base64.StdEncoding.EncodeToString(v), nil
	case cbor.Bool:
		return bool(v), nil
	case cbor.Uint:
		return json.Number(strconv.FormatUint(uint64(v), 10)), nil
	case cbor.NegInt:
		return json.Number("-" + strconv.FormatUint(uint64(v), 10)), nil
	case cbor.Float32:
		return json.Number(strconv.FormatFloat(float64(v), 'g', -1, 32)), nil
	case cbor.Float64:
		return json.Number(strconv.FormatFloat(float64(v), 'g', -1, 64)), nil
	case *cbor.Nil, *cbor.Undefined:
		return nil, nil
	default:
		return nil, fmt.Errorf("CBOR of the kind %T", v)
	}
}
