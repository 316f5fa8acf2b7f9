// SPDX-License-Identifier: MPL-2.0

// The interop oracle: links SOPS 3.13.3 as a library and says, for many documents in one process, what SOPS makes of them.
// One run of the real program costs 22 ms, one request here well under one.
//
// A request is a line of JSON on standard input, an answer a line of JSON on standard output:
//
//	{"op": "load",    "format": "yaml", "text": BASE64}                       plain text: its values and comments
//	{"op": "encrypt", …, "recipient": "age1…", "settings": {…}}               … and the encrypted text
//	{"op": "decrypt", "format": "yaml", "text": BASE64}                       checks the MAC; values, comments, plain text
//	{"op": "set",     "format": "yaml", "text": BASE64, "value": "new"}       `sops set` of the last entry that has a scalar value
//
// Standard error is left to SOPS's own log. Identities come from SOPS_AGE_KEY_FILE.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/cmd/sops/common"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/version"
	"github.com/sirupsen/logrus"
)

type settings struct {
	UnencryptedSuffix       string `json:"unencrypted_suffix"`
	EncryptedSuffix         string `json:"encrypted_suffix"`
	UnencryptedRegex        string `json:"unencrypted_regex"`
	EncryptedRegex          string `json:"encrypted_regex"`
	UnencryptedCommentRegex string `json:"unencrypted_comment_regex"`
	EncryptedCommentRegex   string `json:"encrypted_comment_regex"`
	MacOnlyEncrypted        bool   `json:"mac_only_encrypted"`
}

type request struct {
	Op        string   `json:"op"`
	Format    string   `json:"format"`
	Text      []byte   `json:"text"`
	Recipient string   `json:"recipient"`
	Settings  settings `json:"settings"`
	Value     string   `json:"value"`
}

type answer struct {
	Ok       bool     `json:"ok"`
	Stage    string   `json:"stage,omitempty"` // where it failed: load, reserved, key, values, mac, emit, path, crash
	Error    string   `json:"error,omitempty"`
	Digest   string   `json:"digest,omitempty"`   // of the values with their types and keys, in order
	Dump     string   `json:"dump,omitempty"`     // the same, readable
	Comments []string `json:"comments,omitempty"` // their texts, in SOPS's order
	Text     []byte   `json:"text,omitempty"`
}

// staged is an error with the step that failed.
type staged struct {
	stage string
	err   error
}

func (s staged) Error() string { return s.err.Error() }

func at(stage string, err error) error { return staged{stage, err} }

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--version" {
		fmt.Println("oracle with sops", version.Version)
		return
	}
	logrus.SetOutput(io.Discard)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var req request
			res := answer{}
			if bad := json.Unmarshal(line, &req); bad != nil {
				res = answer{Stage: "request", Error: bad.Error()}
			} else {
				res = serve(req)
			}
			if encoder.Encode(res) != nil || out.Flush() != nil {
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}

// serve answers one request; a panic inside SOPS is an answer, too.
func serve(req request) (res answer) {
	defer func() {
		if crash := recover(); crash != nil {
			res = answer{Stage: "crash", Error: fmt.Sprint(crash)}
		}
	}()
	store := common.DefaultStoreForPathOrFormat(config.NewStoresConfig(), "", req.Format)
	var branches sops.TreeBranches
	var text []byte
	var err error
	switch req.Op {
	case "load":
		branches, err = load(store, req.Text)
	case "encrypt":
		branches, text, err = encrypt(store, req)
	case "decrypt":
		branches, text, err = decrypt(store, req.Text)
	case "set":
		branches, text, err = set(store, req)
	default:
		err = at("request", errors.New("unknown op"))
	}
	if err != nil {
		res.Error = err.Error()
		var s staged
		if errors.As(err, &s) {
			res.Stage = s.stage
		}
		return res
	}
	var d dumper
	for _, branch := range branches {
		d.value(branch, "")
		d.out.WriteString("---\n")
	}
	sum := sha256.Sum256([]byte(d.out.String()))
	return answer{Ok: true, Digest: hex.EncodeToString(sum[:]), Dump: d.out.String(), Comments: d.comments, Text: text}
}

// load reads plain text the way the encrypt command does.
func load(store common.Store, text []byte) (sops.TreeBranches, error) {
	branches, err := store.LoadPlainFile(text)
	if err != nil {
		return nil, at("load", err)
	}
	if len(branches) < 1 {
		return nil, at("load", errors.New("no document"))
	}
	if store.HasSopsTopLevelKey(branches[0]) {
		return nil, at("reserved", errors.New("the file is already encrypted"))
	}
	return branches, nil
}

// services is this process as the only key service.
func services() []keyservice.KeyServiceClient {
	return []keyservice.KeyServiceClient{keyservice.NewLocalClient()}
}

// encrypt returns the values as they were loaded, and the encrypted text.
func encrypt(store common.Store, req request) (sops.TreeBranches, []byte, error) {
	plain, err := load(store, req.Text)
	if err != nil {
		return nil, nil, err
	}
	// Encrypting changes the tree, so the values to report are loaded on their own.
	branches, err := load(store, req.Text)
	if err != nil {
		return nil, nil, err
	}
	key, err := age.MasterKeyFromRecipient(req.Recipient)
	if err != nil {
		return nil, nil, at("key", err)
	}
	s := req.Settings
	tree := sops.Tree{Branches: branches, Metadata: sops.Metadata{
		KeyGroups:               []sops.KeyGroup{{keys.MasterKey(key)}},
		UnencryptedSuffix:       s.UnencryptedSuffix,
		EncryptedSuffix:         s.EncryptedSuffix,
		UnencryptedRegex:        s.UnencryptedRegex,
		EncryptedRegex:          s.EncryptedRegex,
		UnencryptedCommentRegex: s.UnencryptedCommentRegex,
		EncryptedCommentRegex:   s.EncryptedCommentRegex,
		MACOnlyEncrypted:        s.MacOnlyEncrypted,
		Version:                 version.Version,
	}}
	dataKey, errs := tree.GenerateDataKeyWithKeyServices(services())
	if len(errs) > 0 {
		return nil, nil, at("key", errors.Join(errs...))
	}
	if err := common.EncryptTree(common.EncryptTreeOpts{Tree: &tree, Cipher: aes.NewCipher(), DataKey: dataKey}); err != nil {
		return nil, nil, at("values", err)
	}
	text, err := store.EmitEncryptedFile(tree)
	if err != nil {
		return nil, nil, at("emit", err)
	}
	return plain, text, nil
}

// open loads and decrypts; the cipher remembers its nonces for a later encryption, as in the set command.
func open(store common.Store, text []byte) (*sops.Tree, sops.Cipher, []byte, error) {
	tree, err := store.LoadEncryptedFile(text)
	if err != nil {
		return nil, nil, nil, at("load", err)
	}
	cipher := aes.NewCipher()
	dataKey, err := common.DecryptTree(common.DecryptTreeOpts{
		Tree: &tree, KeyServices: services(), DecryptionOrder: sops.DefaultDecryptionOrder, Cipher: cipher})
	if err != nil {
		stage := "values"
		if strings.Contains(err.Error(), "MAC") {
			stage = "mac"
		} else if strings.Contains(err.Error(), "data key") {
			stage = "key"
		}
		return nil, nil, nil, at(stage, err)
	}
	return &tree, cipher, dataKey, nil
}

func decrypt(store common.Store, text []byte) (sops.TreeBranches, []byte, error) {
	tree, _, _, err := open(store, text)
	if err != nil {
		return nil, nil, err
	}
	plain, err := store.EmitPlainFile(tree.Branches)
	if err != nil {
		return nil, nil, at("emit", err)
	}
	return tree.Branches, plain, nil
}

// set changes one value and writes the file again.
func set(store common.Store, req request) (sops.TreeBranches, []byte, error) {
	tree, cipher, dataKey, err := open(store, req.Text)
	if err != nil {
		return nil, nil, err
	}
	path := lastScalar(tree.Branches[0])
	if path == nil {
		return nil, nil, at("path", errors.New("no entry with a scalar value"))
	}
	tree.Branches[0], _ = tree.Branches[0].Set(path, req.Value)
	if err := common.EncryptTree(common.EncryptTreeOpts{Tree: tree, Cipher: cipher, DataKey: dataKey}); err != nil {
		return nil, nil, at("values", err)
	}
	text, err := store.EmitEncryptedFile(*tree)
	if err != nil {
		return nil, nil, at("emit", err)
	}
	again, _, _, err := open(store, text)
	if err != nil {
		return nil, nil, err
	}
	return again.Branches, text, nil
}

// lastScalar is the path of the last top-level or nested entry with a scalar value, reached through mappings only.
func lastScalar(branch sops.TreeBranch) []interface{} {
	for i := len(branch) - 1; i >= 0; i-- {
		key, isText := branch[i].Key.(string)
		if !isText {
			continue
		}
		switch value := branch[i].Value.(type) {
		case sops.TreeBranch:
			if rest := lastScalar(value); rest != nil {
				return append([]interface{}{key}, rest...)
			}
		case []interface{}, nil, sops.Comment:
		default:
			return []interface{}{key}
		}
	}
	return nil
}

// dumper writes values with types and keys, one a line, and collects comments.
type dumper struct {
	out      strings.Builder
	comments []string
}

func (d *dumper) value(value interface{}, path string) {
	switch v := value.(type) {
	case sops.TreeBranch:
		fmt.Fprintf(&d.out, "%s map\n", path)
		for _, item := range v {
			if comment, isComment := item.Key.(sops.Comment); isComment {
				d.comments = append(d.comments, comment.Value)
				continue
			}
			d.value(item.Value, fmt.Sprintf("%s.%q", path, fmt.Sprint(item.Key)))
		}
	case []interface{}:
		fmt.Fprintf(&d.out, "%s list\n", path)
		index := 0
		for _, item := range v {
			if comment, isComment := item.(sops.Comment); isComment {
				d.comments = append(d.comments, comment.Value)
				continue
			}
			d.value(item, fmt.Sprintf("%s[%d]", path, index))
			index++
		}
	case sops.Comment:
		d.comments = append(d.comments, v.Value)
	case time.Time:
		fmt.Fprintf(&d.out, "%s time %s\n", path, v.Format(time.RFC3339Nano))
	default:
		fmt.Fprintf(&d.out, "%s %T %q\n", path, v, fmt.Sprint(v))
	}
}
