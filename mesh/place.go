package mesh

import (
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/locus-learn/locus/internal/fault"
)

// Place is where a launcher has put this process.
type Place struct {
	Launcher    string // for messages; "" where the process is alone
	Rank, World int
	LocalRank   int // on this machine
	LocalWorld  int // processes on this machine; 0 where nobody says
	Host        string
	Port        int    // where the first process listens
	Path        string // of a socket for processes of one machine; then there is no host and no port
	Secret      string // that ranks know and strangers do not
	Patience    time.Duration
}

// Names of the environment variables by which `--nproc` tells its processes their places.
const (
	EnvRank       = "LOCUS_RANK"
	EnvWorld      = "LOCUS_WORLD_SIZE"
	EnvLocalRank  = "LOCUS_LOCAL_RANK"
	EnvLocalWorld = "LOCUS_LOCAL_WORLD_SIZE"
	EnvPath       = "LOCUS_SOCKET"
	EnvSecret     = "LOCUS_SECRET"
)

// ourPort is taken where a launcher names none.
const ourPort = 29600

// launchers are tried in this order; the first one whose variables are there decides.
var launchers = []struct {
	name  string
	place func(env func(string) string) (Place, bool, error)
}{
	{"--nproc", nproc}, {"torchrun", torchrun}, {"PyTorchJob", pytorchJob}, {"Slurm", slurm}, {"Open MPI", openMPI},
}

// Launchers names them in the order in which they are looked for.
func Launchers() (names []string) {
	for _, l := range launchers {
		names = append(names, l.name)
	}
	return names
}

// Find returns where this process was put. Without a launcher, or where that has started one process only, it is alone.
func Find() (Place, error) { return find(os.Getenv) }

func find(env func(string) string) (Place, error) {
	for _, l := range launchers {
		p, there, err := l.place(env)
		if err != nil {
			return Place{}, fault.New("%s's variables cannot be used: %w", l.name, err)
		}
		if !there {
			continue
		}
		p.Launcher, p.Secret = l.name, env(EnvSecret)
		if p.World == 1 {
			return Place{Launcher: l.name, World: 1}, nil
		}
		if p.Rank < 0 || p.Rank >= p.World {
			return Place{}, fault.New("%s's variables say rank %d of %d: must be 0 to %d", l.name, p.Rank, p.World, p.World-1)
		}
		if p.Path == "" && p.Host == "" {
			return Place{}, fault.New("%s has started %d processes and does not say where the first one runs: set MASTER_ADDR to its host", l.name, p.World)
		}
		return p, nil
	}
	return Place{World: 1}, nil
}

// numbers reads variables that must all be numbers if the first one is there.
func numbers(env func(string) string, names ...string) (values []int, there bool, err error) {
	for i, name := range names {
		text := env(name)
		if text == "" {
			if i == 0 {
				return nil, false, nil
			}
			values = append(values, 0)
			continue
		}
		v, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return nil, false, fault.New("%s is %q: must be a number", name, text)
		}
		values = append(values, v)
	}
	return values, true, nil
}

func nproc(env func(string) string) (p Place, there bool, err error) {
	v, there, err := numbers(env, EnvRank, EnvWorld, EnvLocalRank, EnvLocalWorld)
	if !there {
		return p, false, err
	}
	return Place{Rank: v[0], World: v[1], LocalRank: v[2], LocalWorld: v[3], Path: env(EnvPath)}, true, nil
}

// torchrun's agent listens at MASTER_PORT itself, on all interfaces: we take the port behind it.
func torchrun(env func(string) string) (p Place, there bool, err error) {
	if env("TORCHELASTIC_RUN_ID") == "" && env("TORCHELASTIC_USE_AGENT_STORE") == "" {
		return p, false, nil
	}
	v, there, err := numbers(env, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
	if !there {
		return p, false, err
	}
	p = Place{Rank: v[0], World: v[1], LocalRank: v[2], LocalWorld: v[3], Host: env("MASTER_ADDR"), Port: v[4] + 1}
	return p, true, nil
}

// pytorchJob is Kubernetes's, and whatever else sets the variables of torch.distributed's env://. Some count machines in
// WORLD_SIZE, for a launcher on each: then LOCAL_RANK is not there, and one process a machine is what was started.
func pytorchJob(env func(string) string) (p Place, there bool, err error) {
	v, there, err := numbers(env, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
	if !there || env("WORLD_SIZE") == "" {
		return p, false, err
	}
	return Place{Rank: v[0], World: v[1], LocalRank: v[2], LocalWorld: v[3], Host: env("MASTER_ADDR"), Port: v[4]}, true, nil
}

// slurm's srun. A batch script, too, has SLURM_PROCID, though it is one process: only a step has SLURM_STEP_NUM_TASKS.
func slurm(env func(string) string) (p Place, there bool, err error) {
	v, there, err := numbers(env, "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_JOB_ID")
	if !there || env("SLURM_PROCID") == "" {
		return p, false, err
	}
	p = Place{World: v[0], Rank: v[1], LocalRank: v[2], Host: env("MASTER_ADDR"), Port: ourPort + v[3]%1000}
	each, _, _ := strings.Cut(env("SLURM_STEP_TASKS_PER_NODE"), "(")
	p.LocalWorld, _ = strconv.Atoi(strings.Split(each, ",")[0])
	if p.Host == "" {
		p.Host = firstHost(env("SLURM_STEP_NODELIST"))
	}
	if text := env("MASTER_PORT"); text != "" {
		if p.Port, err = strconv.Atoi(text); err != nil {
			return p, false, fault.New("MASTER_PORT is %q: must be a number", text)
		}
	}
	return p, true, nil
}

func openMPI(env func(string) string) (p Place, there bool, err error) {
	v, there, err := numbers(env, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "MASTER_PORT")
	if !there {
		return p, false, err
	}
	p = Place{Rank: v[0], World: v[1], LocalRank: v[2], LocalWorld: v[3], Host: env("MASTER_ADDR"), Port: v[4]}
	if p.Host == "" && p.World == p.LocalWorld {
		p.Host = "127.0.0.1"
	}
	return p, true, nil
}

// firstHost returns the first one of a list as Slurm writes it: node[03-07,9],other.
func firstHost(list string) string {
	open := strings.IndexAny(list, "[,")
	if open < 0 || list[open] == ',' {
		host, _, _ := strings.Cut(list, ",")
		return host
	}
	inside, rest, _ := strings.Cut(list[open+1:], "]")
	first := inside[:len(inside)-len(strings.TrimLeft(inside, "0123456789"))]
	suffix, _, _ := strings.Cut(rest, ",")
	return list[:open] + first + suffix
}

// meeting returns where the processes meet, and this one's own address.
func (p Place) meeting(o Options) (network, at, own string, err error) {
	if p.Path != "" {
		return "unix", p.Path, "127.0.0.1", nil
	}
	port := o.Port
	if port == 0 {
		port = p.Port
	}
	if port == 0 {
		port = ourPort
	}
	if o.Interface != "" {
		own, err = address(o.Interface)
	} else {
		own, err = towards(p.Host)
	}
	if err != nil {
		return "", "", "", err
	}
	host := p.Host
	if p.Rank == 0 {
		host = own
	}
	return "tcp", net.JoinHostPort(host, strconv.Itoa(port)), own, nil
}
