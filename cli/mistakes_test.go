package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/locus-learn/locus/internal/fault"
)

func TestMistakesInDataGetOneLine(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, data string)
		want  []string
	}{
		{"missing file", func(t *testing.T, data string) { remove(t, filepath.Join(data, "data_batch_3.bin")) },
			[]string{"data_batch_3.bin", "does not exist"}},
		{"missing set", func(t *testing.T, data string) {
			remove(t, data)
			if err := os.Mkdir(data, 0o755); err != nil {
				t.Fatal(err)
			}
		}, []string{"cifar10", "does not exist", "cifar.html"}},
		{"missing folder", remove, []string{"data", "no such file"}},
		{"truncated file", func(t *testing.T, data string) { write(t, filepath.Join(data, "test_batch.bin"), cifar(1, 4)[:7000]) },
			[]string{"test_batch.bin", "truncated", "7000 bytes"}},
		{"label out of range", func(t *testing.T, data string) {
			records := cifar(1, 8)
			records[2*3073] = 10
			write(t, filepath.Join(data, "data_batch_1.bin"), records)
		}, []string{"data_batch_1.bin", "record 2", "label 10", "0 to 9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newWorkbench(t)
			c.spoil(t, b.data)
			refuse(t, c.want, b.train("run")...)
			if _, err := os.Stat(b.path("run")); err == nil {
				t.Error("a run folder was made for a run that cannot begin")
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func TestMissingDevicesGetOneLine(t *testing.T) {
	refuse(t, []string{"--device", "gpu", "cpu", "cuda:N"}, "verify", "--device", "gpu")
	refuse(t, []string{"--device", "cuda:127", "doctor"}, "verify", "--device", "cuda:127")
	refuse(t, []string{"device", "cuda:127", "device=cpu"}, "bench", "--device", "cuda:127", "--steps", "1")
	refuse(t, []string{"device", "cuda:127", "device=cpu"}, "plan", "--device", "cuda:127", "--model", "mlp")
}

func TestMistakesInRecipesGetOneLine(t *testing.T) {
	b := newWorkbench(t)
	for _, c := range []struct{ set, want string }{
		{"optim.rl=0.1", "optim.rl optim.lr"},
		{"nonsense=1", "unknown key nonsense"},
		{"optim.lr=fast", "optim.lr fast number"},
		{"data.batch=2.5", "data.batch 2.5 whole"},
		{"optim.lr", "optim.lr key=value"},
		{"graphs=true", "graphs true device cpu device=cuda"},
		{"method.modules=9", "method.modules 9 blocks 4"},
		{"method.modules=0", "method.modules 0 1"},
		{"method.cuts=layer9.0", "layer9.0 layer1.0"},
		{"method.name=spr", "spr sgr"},
		{"model.name=alexnet", "alexnet resnet32"},
		{"model.depth=9", "model.depth 9 6n+2"},
		{"head.name=mlp", "head.name mlp conv"},
		{"data.batch=41", "data.batch 41 40"},
		{"data.validation=40", "data.validation 40"},
		{"device=gpu", "device gpu cpu cuda:N"},
		{"device=cuda:127", "device cuda:127 cpu"},
		{"precision=fp16", "precision fp16 fp32 tf32 bf16"},
		{"method.name=etf", "etf one linear layer or convolution block stem plain7 mlp"},
		{"method.name=drtp", "drtp one linear layer or convolution block stem plain7 mlp"},
		{"head.name=none", "head.name none"},
		{"method.gradient=paper", "method.gradient paper auto directional double sgr"},
		{"schedule.warmup=5", "schedule.warmup 5 2"},
	} {
		t.Run(c.set, func(t *testing.T) { refuse(t, strings.Fields(c.want), b.train("run", "--set", c.set)...) })
	}
	write(t, b.path("wrong.yaml"), []byte("data:\n  set: cifar10\nmodel:\n  dept: 8\n"))
	refuse(t, []string{"wrong.yaml:4", "model.depth"}, "train", b.path("wrong.yaml"))
	write(t, b.path("loop.yaml"), []byte("seed: 2\nbase: ./loop.yaml\n"))
	refuse(t, []string{"loop.yaml:2", "base", "must not lead back to itself"}, "train", b.path("loop.yaml"))
	refuse(t, []string{"optim.lr"}, "show", "--set", "optim.lr=fast")
	if _, err := os.Stat(b.path("run")); err == nil {
		t.Error("a run folder was made for a run that cannot begin")
	}
}

func TestMistakesInArgumentsGetOneLine(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0")...)
	picture := b.path("a.png")
	drawPNG(t, picture, 8, 8)
	for _, c := range []struct{ line, want string }{
		{"trian", "trian locus train"},
		{"data chek", "chek check"},
		{"help nothing", "nothing"},
		{"train --stpes 3", "--stpes --steps"},
		{"train --steps x", "--steps x whole"},
		{"train --steps", "--steps value"},
		{"train --steps=-2", "--steps -2 0"},
		{"train -z", "-z"},
		{"train --optim.lr 1", "--set optim.lr"},
		{"train a b", "b RECIPE"},
		{"train quickstart optim.lr=1", "--set optim.lr=1"},
		{"train quickstat", "quickstart"},
		{"train RUN", "RUN recipe config.yaml --resume --out RUN"},
		{"train DATA", "DATA recipe data.set=folder --data DATA finetune"},
		{"compare TINY RUN", "RUN recipe report"},
		{"show DATA", "DATA recipe"},
		{"train TINY DATA", "DATA --data DATA"},
		{"data check folder DATA", "DATA --data DATA"},
		{"data check DATA", "DATA folder --data DATA"},
		{"train none.yaml", "none.yaml"},
		{"train --resume", "--resume --out"},
		{"train --resume --out RUN --force", "--resume --force"},
		{"train --resume --out RUN --init RUN", "--resume --init"},
		{"train --resume --out NONE", "NONE config.yaml"},
		{"train TINY --data DATA --out RUN", "RUN --resume --force"},
		{"train TINY --data DATA --out TINY", "TINY"},
		{"train TINY --data DATA --out NEW --init NONE", "NONE"},
		{"train TINY --resume --out RUN --set optim.lr=0.5 --set nonsense=1", "nonsense"},
		{"train fashion-sgr --resume --out RUN", "tiny fashion-sgr resume"},
		{"train TINY --data DATA --out NEW --set eval.patience=2", "eval.patience data.validation"},
		{"train TINY --data DATA --out NEW --set eval.every=0", "eval.every 1"},
		{"train TINY --data DATA --out NEW --set data.test=0.5", "data.test 0 16"},
		{"train TINY --data DATA --out NEW --set data.test=1.5", "data.test fraction"},
		{"train TINY --data DATA --out NEW --set loss.class_weights=1,2", "loss.class_weights 2 10"},
		{"train TINY --data DATA --out NEW --set loss.class_weights=even", "loss.class_weights balanced"},
		{"train TINY --data DATA --out NEW --set loss.class_weights=1,1,1,1,1,1,1,1,1,-1", "loss.class_weights -1"},
		{"train TINY --data DATA --out NEW --set loss.name=focal --set method.name=barlow --set data.augment=barlow", "loss.name barlow"},
		{"train TINY --data DATA --out NEW --set loss.name=focal --set loss.gamma=0", "loss.gamma 1"},
		{"train TINY --data DATA --out NEW --set loss.name=hinge", "loss.name hinge focal"},
		{"train TINY --data DATA --out NEW --set data.balanced=true --set data.shuffle=false", "data balanced shuffle"},
		{"eval", "RUN|CHECKPOINT"},
		{"eval NONE", "NONE"},
		{"eval TINY", "TINY"},
		{"eval RUN --on train", "--on train test validation"},
		{"eval RUN --on validation --data DATA", "data.validation"},
		{"predict RUN", "IMAGE"},
		{"predict RUN PNG --confidence 2", "--confidence 2 1"},
		{"predict RUN PNG --confidence NaN", "--confidence NaN"},
		{"predict RUN PNG --top 0", "--top 0 1"},
		{"predict RUN TINY", "TINY PNG"},
		{"export RUN", "FILE"},
		{"export RUN RUN", "folder"},
		{"export RUN NONE/x", "NONE/x"},
		{"compare", "--methods"},
		{"compare --methods bp,foo TINY", "foo sgr"},
		{"compare --methods bp TINY TINY", "--methods 2"},
		{"compare TINY --steps 0", "--steps 0 1"},
		{"report", "report needs --help"},
		{"report NONE", "NONE folder"},
		{"report DATA", "DATA holds no runs"},
		{"report RUN --by metod", "--by metod method"},
		{"report RUN --width wide", "--width wide column"},
		{"report RUN --out=", "--out empty"},
		{"watch", "DIR"},
		{"watch NONE", "NONE folder"},
		{"watch RUN --web nonsense", "--web nonsense HOST:PORT"},
		{"train TINY --data DATA --out NEW --web 127.0.0.1:99999", "--web 99999 HOST:PORT"},
		{"bench --methods bp,foo", "foo sgr"},
		{"bench --methods=", "--methods"},
		{"bench --model vit_ti --methods sgr --set method.gradient=tangent", "method.gradient tangent directional"},
		{"bench --methods sgr --set method.gradient=tangent --set method.fraction=0.5", "method.fraction 0.5 1 method.gradient tangent"},
		{"bench --methods sgr --set method.gradient=tangent --set method.checkpoint=blocks", "method.gradient tangent method.checkpoint none"},
		{"bench --methods barlow-sgr --set data.augment=barlow --set method.gradient=tangent", "method.gradient tangent"},
		{"bench --modules 0", "--modules 0 1"},
		{"bench --modules 99", "method.modules 99 16"},
		{"bench --batch 0", "--batch 0 1"},
		{"bench --image 2", "model.image 2"},
		{"bench --precision fp8", "precision fp8 bf16"},
		{"bench --model vgg", "vgg resnet32"},
		{"bench --steps 0", "--steps 0 1"},
		{"list", "methods|models"},
		{"list key", "keys"},
		{"list nothing", "nothing methods"},
		{"list recipes *nothing*", "*nothing* recipes"},
		{"verify sgrr", "sgrr sgr"},
		{"data check", "SET"},
		{"data check imagenet", "imagenet cifar10"},
		{"data get imagenet", "imagenet cifar10"},
		{"completion ksh", "ksh"},
	} {
		t.Run(c.line, func(t *testing.T) {
			names := strings.NewReplacer("RUN", b.path("run"), "TINY", b.recipe, "DATA", b.data, "PNG", picture,
				"NONE", b.path("none"), "NEW", b.path("new"))
			want := strings.Fields(c.want)
			for i := range want {
				if want[i] != "PNG" && want[i] != "RUN|CHECKPOINT" {
					want[i] = names.Replace(want[i])
				}
			}
			refuse(t, want, strings.Fields(names.Replace(c.line))...)
		})
	}
}

// A flag that is given and empty, as by a variable of the shell that is not set, would count as not given: no command takes one.
func TestEmptyFlagsGetOneLine(t *testing.T) {
	n := 0
	var try func(c *cobra.Command)
	try = func(c *cobra.Command) {
		if c.HasParent() && (c.PersistentPreRunE != nil || c.PersistentPreRun != nil) {
			t.Errorf("%s does not look at its flags", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "string" {
				return
			}
			n++
			one := &cobra.Command{}
			one.Flags().AddFlag(f)
			if err := errors.Join(one.Flags().Set(f.Name, ""), named(one)); !fault.Is(err) || !strings.Contains(err.Error(), "--"+f.Name+" is empty: must be a ") {
				t.Errorf("%s --%s: %v", c.CommandPath(), f.Name, err)
			}
		})
		for _, sub := range c.Commands() {
			try(sub)
		}
	}
	try(newRoot(io.Discard, io.Discard))
	if n < 25 {
		t.Errorf("%d flags were tried", n)
	}
	b := newWorkbench(t)
	for _, line := range [][]string{
		b.train("run", "--data", ""), b.train("run", "--init", ""), {"eval", "run", "--data", ""}, {"compare", "--methods", "bp", b.recipe, "--data", ""},
		{"study", "small", "--data", ""}, {"data", "list", "--data", ""}, {"bench", "--against", ""}, {"bench", "--plot", ""}, {"finetune", "photos", "--from", ""},
	} {
		refuse(t, []string{"is empty: must be a "}, line...)
	}
}

// A folder that has the name of a recipe is not taken for it.
func TestRecipeBesideAFolderOfItsName(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("quickstart", 0o755); err != nil {
		t.Fatal(err)
	}
	succeed(t, "show", "--brief", "quickstart")
	refuse(t, []string{"./quickstart", "folder", "recipe"}, "show", "./quickstart")
}
